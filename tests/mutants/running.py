"""One mutant: a copy of the package with one line changed, and the tests that must fail on it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
_COPIED = ("watchdog", "tests", "rules", "pyproject.toml", "config.example.toml")
_FAILED = 1
_TIMEOUT_S = 600.0


@dataclass(frozen=True, kw_only=True)
class Line:
    """
    A safety line.

    Attributes:
        name: what is taken away, in words.
        file: within the package.
        line, instead: what stands there, which must be there exactly once, and what it becomes.
        tests: paths or node ids that must fail then; the fewest that show it.
    """

    name: str
    file: str
    line: str
    instead: str
    tests: tuple[str, ...]


class Caught(Enum):
    YES = "caught"
    NO = "SURVIVED"
    BROKEN = "cannot be run"  # the tests did not run at all, which shows nothing


class LineGoneError(Exception):
    """The program has changed, and the list has not."""


def mutated(text: str, line: Line) -> str:
    """
    The file with the line changed.

    Raises: LineGoneError: it is not there exactly once.
    """
    if text.count(line.line) != 1:
        raise LineGoneError(f"{line.name}: {text.count(line.line)} places in {line.file} look like {line.line!r}")
    return text.replace(line.line, line.instead)


def try_mutant(line: Line) -> Caught:
    """Raises: LineGoneError."""
    with mutant(line) as folder:
        return _outcome(folder, line)


@contextmanager
def mutant(line: Line) -> Iterator[Path]:
    """
    The folder of a copy of the program with the line changed.

    Raises: LineGoneError.
    """
    with tempfile.TemporaryDirectory(prefix="mutant-") as name:
        folder = Path(name)
        for part in _COPIED:
            source = ROOT / part
            if source.is_dir():
                shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, folder / part)
        changed = folder / "watchdog" / line.file
        changed.write_text(mutated(changed.read_text(), line))
        yield folder


def _outcome(folder: Path, line: Line) -> Caught:
    command = (sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", f"--basetemp={folder / 'tmp'}")
    env = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        ended = subprocess.run(
            [*command, *line.tests], cwd=folder, env=env, capture_output=True, timeout=_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        # A test that hangs without the line has noticed that it is gone.
        return Caught.YES
    if ended.returncode == _FAILED:
        return Caught.YES
    return Caught.NO if ended.returncode == 0 else Caught.BROKEN
