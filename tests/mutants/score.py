"""
The mutation score: of all small changes to a file, the share that a test notices.

A process that has imported what takes long forks for each mutant, so that a mutant costs its tests and little more.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.util
import os
import random
import signal
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.mutants.operators import Mutant, mutants_of, mutated
from tests.mutants.running import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from importlib.machinery import ModuleSpec
    from types import CodeType, ModuleType

_TIMEOUT_S = 180
_HEAVY = ("pytest", "hypothesis", "numpy", "scipy.stats", "scipy.optimize", "scipy.special", "sqlalchemy", "pydantic")
# The parent has imported it already.
_UNWRITTEN = "ignore::pytest.PytestAssertRewriteWarning"
_CORE, _STATS = "tests/core/test_", "tests/stats/test_"
# What each of the statistics says of calls that never change, and where it begins and ends.
_GOLDEN, _EDGES = f"{_STATS}golden.py", f"{_STATS}edges.py"
# By file: the tests that are quick and about it.
SCORED: dict[str, tuple[str, ...]] = {
    "core/rollback": (f"{_CORE}rollback.py", f"{_CORE}rollback_edges.py"),
    "core/guards": (f"{_CORE}guards.py", f"{_CORE}guards_edges.py"),
    "core/commands": (f"{_CORE}commands.py",),
    "stats/calibrator": (f"{_STATS}calibrator.py", f"{_STATS}eprocess.py", _GOLDEN, _EDGES),
    "stats/ceiling": (f"{_STATS}ceiling.py", _GOLDEN, _EDGES),
    "stats/classical/looks": (f"{_STATS}classical.py", _GOLDEN, _EDGES),
    "stats/classical/permutation": (f"{_STATS}classical.py", _GOLDEN, _EDGES),
    "stats/classical/shares": (f"{_STATS}classical.py", _GOLDEN, _EDGES),
    "stats/classical/values": (f"{_STATS}classical.py", _GOLDEN, _EDGES),
    "stats/common_shock": (f"{_STATS}common_shock.py", _GOLDEN, _EDGES),
    "stats/dependence": (f"{_STATS}dependence.py", _GOLDEN, _EDGES),
    "stats/distribution": (f"{_STATS}distribution.py", f"{_STATS}references_independent.py", _GOLDEN, _EDGES),
    "stats/eprocess": (f"{_STATS}eprocess.py", f"{_STATS}references_independent.py", _GOLDEN, _EDGES),
    "stats/histogram": (f"{_STATS}histogram.py", _GOLDEN, _EDGES),
    "stats/inputs": (f"{_STATS}eprocess.py", f"{_STATS}mean.py", f"{_STATS}interval.py", _GOLDEN, _EDGES),
    "stats/interval": (f"{_STATS}interval.py", f"{_STATS}references_independent.py", _GOLDEN, _EDGES),
    "stats/mean": (f"{_STATS}mean.py", f"{_STATS}references_independent.py", _GOLDEN, _EDGES),
    "stats/onset": (f"{_STATS}onset.py", _GOLDEN, _EDGES),
    "stats/power": (f"{_STATS}power.py", f"{_STATS}power_forecast.py", _GOLDEN, _EDGES),
    "stats/proportion": (f"{_STATS}proportion.py", f"{_STATS}references_independent.py", _GOLDEN, _EDGES),
    "stats/quantile": (f"{_STATS}quantile.py", f"{_STATS}references_independent.py", _GOLDEN, _EDGES),
    "stats/reference": (f"{_STATS}reference.py", _GOLDEN, _EDGES),
    "stats/stratified": (f"{_STATS}stratified.py", _GOLDEN, _EDGES),
}


@dataclass(frozen=True, kw_only=True)
class Tried:
    """
    Attributes:
        file: such as `core/guards`.
        caught: a test failed, or did not come to an end.
    """

    file: str
    mutant: Mutant
    caught: bool


def tried(files: Sequence[str], *, sample: int | None, seed: int, jobs: int) -> Iterator[Tried]:
    """
    Each mutant of the files, or so many of them all, drawn by the seed; as they come to an end.

    Raises: LookupError: the tests of a file fail without any mutant, or there are none.
    """
    for name in _HEAVY:
        importlib.import_module(name)
    drawn = [(file, mutant) for file in files for mutant in mutants_of(_path(file).read_text())]
    if sample is not None and sample < len(drawn):
        drawn = sorted(random.Random(seed).sample(drawn, sample), key=drawn.index)  # noqa: S311
    for file in dict.fromkeys(file for file, _ in drawn):
        if _ended(_begin(file, None)):
            raise LookupError(f"the tests of {file} fail although nothing was changed")
    running: dict[int, tuple[str, Mutant]] = {}
    while drawn or running:
        while drawn and len(running) < jobs:
            file, mutant = drawn.pop(0)
            running[_begin(file, mutant)] = (file, mutant)
        pid, status = os.wait()
        file, mutant = running.pop(pid)
        yield Tried(file=file, mutant=mutant, caught=status != 0)


def wilson(caught: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """Interval of a share, for a sample. Source: Wilson 1927."""
    p, zz = caught / n, z * z / n
    middle, half = p + zz / 2, z * ((p * (1 - p) + zz / 4) / n) ** 0.5
    return (middle - half) / (1 + zz), (middle + half) / (1 + zz)


def _path(file: str) -> Path:
    return ROOT / "watchdog" / f"{file}.py"


def _ended(pid: int) -> int:
    return os.waitpid(pid, 0)[1]


def _begin(file: str, mutant: Mutant | None) -> int:
    """Returns: the id of a process that ends with 0 if the tests of the file pass."""
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    signal.alarm(_TIMEOUT_S)
    try:
        os._exit(_tests(file, mutant))
    finally:
        os._exit(3)


def _tests(file: str, mutant: Mutant | None) -> int:
    import pytest

    if mutant is not None:
        code = compile(mutated(_path(file).read_text(), mutant.number), str(_path(file)), "exec")
        sys.meta_path.insert(0, _Changed(f"watchdog.{file.replace('/', '.')}", code))
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.chdir(ROOT)
    there = [test for test in SCORED[file] if (ROOT / test).exists()]
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        given = [
            "-q",
            "-x",
            "-p",
            "no:cacheprovider",
            f"--basetemp={Path(folder) / 'tmp'}",
            "-m",
            "not simulation",
            "-W",
            _UNWRITTEN,
        ]
        return int(pytest.main([*given, *there]))


class _Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Hands out one module as it was changed."""

    def __init__(self, name: str, code: CodeType) -> None:
        self._name, self._code = name, code

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:  # noqa: ARG002
        return importlib.util.spec_from_loader(fullname, self) if fullname == self._name else None

    def exec_module(self, module: ModuleType) -> None:
        exec(self._code, module.__dict__)  # noqa: S102 - the program itself, but for one line
