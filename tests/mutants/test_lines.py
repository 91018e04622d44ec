"""The list of safety lines fits the program, and a mutant that nothing misses is told from one that is caught."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.mutants.lines import LINES
from tests.mutants.running import ROOT, Caught, LineGoneError, mutated, try_mutant

_BY_NAME = {line.name: line for line in LINES}


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.name)
def test_each_line_is_where_the_list_says(line):
    """Exactly once; and the tests that are to notice are there."""
    assert mutated((ROOT / "watchdog" / line.file).read_text(), line)
    assert all((ROOT / test).exists() for test in line.tests)


def test_a_line_that_is_gone_is_an_error():
    """The list is to be mended then, not to be shorter."""
    with pytest.raises(LineGoneError, match="0 places"):
        mutated("nothing of the kind", LINES[0])


@pytest.mark.parametrize("name", ["settle: a request may be applied late", "the cool-down"])
def test_without_the_line_its_tests_fail(name):
    """A cut of `make battery`, which tries all of them."""
    assert Caught.YES is try_mutant(_BY_NAME[name])


def test_a_change_that_changes_nothing_survives():
    """Or every mutant would look as if it had been caught."""
    line = _BY_NAME["the cool-down"]

    assert Caught.NO is try_mutant(replace(line, instead=line.line))


def test_tests_that_cannot_run_have_caught_nothing():
    """A mistake in the list is no success."""
    line = replace(_BY_NAME["the cool-down"], tests=("tests/core/test_nothing.py",))

    assert Caught.BROKEN is try_mutant(line)
