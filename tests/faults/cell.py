"""What every part of the battery is made of: named stories, each of which can be played again alone."""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.memory import MEMORY

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass
class Outcome:
    """
    Attributes:
        violations: one sentence each.
        counted: what happened how often.
    """

    violations: list[str] = field(default_factory=list)
    counted: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, kw_only=True)
class Cell:
    """
    Attributes:
        name: unique within its part, for the same seed.
        play: the story, in an empty folder.
    """

    name: str
    play: Callable[[Path], Outcome]

    def run(self) -> Outcome:
        with tempfile.TemporaryDirectory(prefix="faults-", dir=MEMORY) as folder:
            return self.play(Path(folder))
