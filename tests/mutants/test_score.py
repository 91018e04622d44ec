"""Small changes are made one at a time, and a test that misses one is told from one that notices."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

from tests.mutants.operators import mutants_of, mutated
from tests.mutants.running import ROOT
from tests.mutants.score import SCORED, wilson

_TEXT = '''\
"""A text."""
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    import os
LIMIT: int = 3
def allowed(n: int, held: bool) -> str | None:
    if n >= LIMIT and not held:
        return "yes" + str(n - 1)
    raise ValueError(f"{n + 1}")
'''


def test_each_change_is_of_one_thing_that_runs():
    """Not of texts, imports, annotations, nor of what an exception says."""
    assert [
        (5, "3 becomes 4"),
        (7, "If is turned round"),
        (7, "And becomes Or"),
        (7, "GtE becomes Gt"),
        (7, "without Not"),
        (8, "returns None"),
        (8, "Sub becomes Add"),
        (8, "1 becomes 2"),
        (9, "does not raise"),
    ] == [(mutant.line, mutant.what) for mutant in mutants_of(_TEXT)]


@pytest.mark.parametrize("mutant", mutants_of(_TEXT), ids=lambda mutant: mutant.what)
def test_a_changed_file_can_be_run_and_differs(mutant):
    """In that one place."""
    changed = mutated(_TEXT, mutant.number)

    compile(changed, "changed.py", "exec")
    assert ast.unparse(changed) != ast.unparse(ast.parse(_TEXT))


@pytest.mark.parametrize("file", SCORED)
def test_each_file_that_is_scored_has_tests_and_changes(file):
    """Under the names that the list has."""
    assert mutants_of((ROOT / "watchdog" / f"{file}.py").read_text())
    assert all((ROOT / test).exists() for test in SCORED[file])


def test_the_interval_of_a_sample_is_wilsons():
    """Values of his formula for 9 of 10 and for all of 20, by hand."""
    assert (0.596, 0.982) == tuple(round(bound, 3) for bound in wilson(9, 10))
    assert (0.839, 1.0) == tuple(round(bound, 3) for bound in wilson(20, 20))


@pytest.mark.simulation
def test_of_a_file_that_is_well_tested_hardly_a_change_survives():
    """A cut of `make battery`: a few changes to the commands, drawn by a seed."""
    command = (sys.executable, "-m", "tests.mutants", "--score", "core/commands", "--sample", "2", "--seed", "1")
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)

    assert "" == ended.stderr
    assert "2 of 2 caught" in ended.stdout
    assert 0 == ended.returncode, ended.stdout
