"""
The disk of the database is full, or cannot be written any more, from one write of a story on: SQLite itself is told to
grow no further, or to write nothing, or a commit fails. Then it is as before, and the story must end as if nothing had
happened.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING

from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from tests.faults.cell import Cell, Outcome
from tests.faults.invariants import Expected, last_word, own, violations
from tests.faults.story import Story, over
from watchdog.store import audit
from watchdog.store.database import Store
from watchdog.store.engine import LOOKS_ONLY

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sqlalchemy import Connection

# A story without trouble has so many.
_WRITES = 54
_AS_MANY_AS_THERE_ARE = 1_000_000_000


class Ill(Enum):
    """What SQLite is told by a pragma; a commit that fails is raised by us, for no pragma makes one."""

    FULL = "PRAGMA max_page_count = 1"  # as large as it is, and no larger
    UNWRITABLE = "PRAGMA query_only = 1"
    UNCOMMITTED = "SELECT 1"

    @property
    def cure(self) -> str:
        return f"PRAGMA max_page_count = {_AS_MANY_AS_THERE_ARE}" if self is Ill.FULL else "PRAGMA query_only = 0"


@dataclass(frozen=True, kw_only=True)
class Draw:
    """
    Attributes:
        after: so many transactions that write, counted from the promotion.
        lasts: by the story's clock.
        restarts: the process is started anew once it is over: during it none comes up.
    """

    ill: Ill
    after: int
    lasts: timedelta
    restarts: bool = False

    @property
    def name(self) -> str:
        again = ", and started anew after it" if self.restarts else ""
        return f"{self.ill.name.lower()} from write {self.after} on for {self.lasts.total_seconds():g} s{again}"


def cells() -> list[Cell]:
    """From each write of a story on, for one step, a minute, and longer than anybody waits."""
    drawn = [
        Draw(ill=ill, after=n, lasts=timedelta(seconds=s), restarts=s == 60 and n % 2 == 0)
        for ill in Ill
        for n in range(_WRITES)
        for s in (1, 60, 300)
    ]
    return [Cell(name=d.name, play=_playing(d)) for d in drawn]


def _playing(draw: Draw) -> Callable[[Path], Outcome]:
    return lambda folder: play(folder, draw)


def play(folder: Path, draw: Draw) -> Outcome:
    disk = Disk(draw)
    with Story(folder, on_step=disk.step, store_of=disk.store_of, store_may_fail=True) as story:
        story.promote()
        disk.is_counting = True
        ended = story.play(over, at_most=timedelta(minutes=60))
        found = violations(story, Expected())
        if not ended:
            found.append(f"it came to no end; the last word is {last_word(story)!r}")
        with story.world.store.read() as connection:
            if (broken := audit.checked(connection).broken) is not None:
                found.append(f"the audit is broken: {broken}")
        outcome = Outcome(found)
        outcome.counted["statements refused"] += disk.failures
        outcome.counted["stories with one"] += bool(disk.failures)
        outcome.counted["reverts"] += len(own(story))
    return outcome


@dataclass
class Disk:
    """
    Attributes:
        is_counting: since the promotion.
        writes: transactions that wanted to write, so far.
        failures: statements that SQLite refused.
        ill_at: by how long after the promotion; None before.
    """

    draw: Draw
    is_counting: bool = False
    writes: int = 0
    failures: int = 0
    ill_at: timedelta | None = None
    since: timedelta = field(default=timedelta(0))
    restarted: bool = False

    @property
    def is_ill(self) -> bool:
        return self.ill_at is not None and self.since < self.ill_at + self.draw.lasts

    def store_of(self, url: str) -> Store:
        """A file of its own: what an earlier story left free would be room for this one."""
        made = Store(url)
        event.listen(made._engine, "checkout", self._taken)
        event.listen(made._engine, "begin", self._begun)
        event.listen(made._engine, "handle_error", self._failed)
        event.listen(made._engine, "commit", self._commits)
        return made

    def _taken(self, connection: sqlite3.Connection, *_: object) -> None:
        """Each connection is told each time, for there are several, and each keeps what it was told."""
        connection.execute(self.draw.ill.value if self.is_ill else self.draw.ill.cure)

    def _begun(self, connection: Connection) -> None:
        if not self.is_counting or connection.get_execution_options().get(LOOKS_ONLY, False):
            return
        if self.ill_at is None and self.writes >= self.draw.after:
            self.ill_at = self.since
            connection.exec_driver_sql(self.draw.ill.value)
        self.writes += 1

    def _commits(self, _: Connection) -> None:
        if self.is_ill and self.draw.ill is Ill.UNCOMMITTED:
            self.failures += 1
            raise OperationalError("COMMIT", {}, sqlite3.OperationalError("database or disk is full"))

    def _failed(self, _: object) -> None:
        self.failures += 1

    def step(self, story: Story) -> None:
        self.since = story.since()
        if self.draw.restarts and self.ill_at is not None and not self.is_ill and not self.restarted:
            self.restarted = True
            story.world.restart()
