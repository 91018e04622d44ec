"""
The real daemon, killed at random instants: while it migrates the database of an earlier version, while it starts,
looks, reverts and tells, and while it leaves. Then it is started again, and must end as if nothing had happened.

Told by the platform's log and by Slack's messages. Real processes, real time, SIGKILL.
"""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from enum import Enum
from threading import Event
from typing import TYPE_CHECKING, BinaryIO

import httpx
from alembic import command
from sqlalchemy import create_engine

from tests.acceptance.guarded import Guarded
from tests.acceptance.shell import PROGRAM, environment
from tests.faults.cell import Cell, Outcome
from tests.faults.invariants import key_of
from tests.world import ALL_SCOPES
from watchdog.store.schema import alembic_config

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_POLL_S = 0.005
_TRIGGERED_WITHIN_S = 20.0
# `settle` and a new process, on a machine that does other things as well.
_DONE_WITHIN_S = 150.0
_LEAVES_WITHIN_S = 30.0
_OLDEST = "0001"
# With summer time, with half an hour of it, without, and none.
_ZONES = ("America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC")


class Near(Enum):
    """What the death is near to; how near is drawn."""

    START = "its start"
    DATABASE = "its first writing"
    LOOK = "its look at the history"
    SEND = "its request"
    MESSAGE = "its first message"
    END = "its leaving"


@dataclass(frozen=True, kw_only=True)
class Death:
    """
    Attributes:
        after_s: real seconds after what it is near to.
        leaving: SIGTERM then, and SIGKILL `grace_s` after that.
    """

    near: Near
    after_s: float
    leaving: bool
    grace_s: float


@dataclass(frozen=True, kw_only=True)
class Draw:
    """
    Attributes:
        old: the database was made by the first version of this program.
        zone: where the process believes to be.
    """

    number: int
    deaths: tuple[Death, ...]
    old: bool
    zone: str

    @property
    def name(self) -> str:
        where = ", then ".join(f"{d.near.value} + {1000 * d.after_s:.0f} ms" for d in self.deaths)
        return f"{self.number}: {where}{', an old database' if self.old else ''}, {self.zone}"


_WITHIN_S = {Near.START: 5.0, Near.DATABASE: 0.4, Near.LOOK: 0.3, Near.SEND: 0.1, Near.MESSAGE: 0.3, Near.END: 0.5}


def cells(seed: int, count: int | None) -> list[Cell]:
    rng = random.Random(seed)  # noqa: S311 - draws deaths
    drawn = [_draw(rng, number) for number in range(count or 100)]
    return [Cell(name=d.name, play=_playing(d)) for d in drawn]


def _draw(rng: random.Random, number: int) -> Draw:
    old = rng.random() < 0.3
    deaths = []
    for i in range(rng.choice((1, 1, 2, 3))):
        near = Near.DATABASE if old and i == 0 else rng.choice(list(Near))
        leaving = near is Near.END or rng.random() < 0.15
        after_s, grace_s = rng.uniform(0.0, _WITHIN_S[near]), rng.uniform(0.0, 0.3)
        deaths.append(Death(near=near, after_s=after_s, leaving=leaving, grace_s=grace_s))
    return Draw(number=number, deaths=tuple(deaths), old=old, zone=rng.choice(_ZONES))


def _playing(draw: Draw) -> Callable[[Path], Outcome]:
    return lambda folder: play(folder, draw)


def play(folder: Path, draw: Draw) -> Outcome:
    with Guarded(folder) as guarded:
        guarded.adopted()
        database = next(p for p in folder.glob("*.db") if p.name not in ("platform.db", "slack.db"))
        if draw.old:
            _made_old(database)
        guarded.env["TZ"] = draw.zone
        guarded.promoted_harmful()
        outcome = Outcome()
        for death in draw.deaths:
            outcome.counted["processes killed"] += _killed(guarded, death, database)
        outcome.violations += _ends(guarded)
        outcome.violations += _violations(guarded)
        outcome.counted["databases of the first version"] += draw.old
        outcome.counted["reverts"] += len(_own(guarded))
    return outcome


def _made_old(database: Path) -> None:
    """The same rows in the tables of the first version, as far as it had them."""
    new = database.with_suffix(".new")
    database.rename(new)
    engine = create_engine(f"sqlite:///{database}")
    try:
        with engine.begin() as connection:
            config = alembic_config()
            config.attributes["connection"] = connection
            command.upgrade(config, _OLDEST)
    finally:
        engine.dispose()
    with closing(sqlite3.connect(database)) as old:
        old.execute("attach ? as made", (str(new),))
        tables = [row[0] for row in old.execute("select name from main.sqlite_master where type = 'table'")]
        for table in tables:
            if table.startswith(("sqlite_", "alembic_")):
                continue
            had = {row[1] for row in old.execute(f"pragma main.table_info({table})")}
            has = {row[1] for row in old.execute(f"pragma made.table_info({table})")}
            columns = ", ".join(f'"{name}"' for name in sorted(had & has))
            old.execute(f"insert into main.{table} ({columns}) select {columns} from made.{table}")  # noqa: S608
        old.commit()
    new.unlink()


def _killed(guarded: Guarded, death: Death, database: Path) -> bool:
    """One life; returns whether it was ended by us."""
    seen = len(guarded.platform.faults.seen())
    before = _touched(database)
    with _started(guarded) as process:
        near: dict[Near, Callable[[], bool]] = {
            Near.START: lambda: True,
            Near.DATABASE: lambda: _touched(database) != before,
            Near.LOOK: lambda: any(r.path.endswith("/audit-logs") for r in guarded.platform.faults.seen()[seen:]),
            Near.SEND: lambda: any(r.path.endswith("/promote") for r in guarded.platform.faults.seen()[seen:]),
            Near.MESSAGE: lambda: bool(guarded.slack.messages()),
            Near.END: lambda: len(guarded.platform.faults.seen()) > seen + 5,
        }
        _wait(near[death.near], within_s=_TRIGGERED_WITHIN_S)
        Event().wait(death.after_s)
        if death.leaving:
            process.send_signal(signal.SIGTERM)
            Event().wait(death.grace_s)
        died = process.poll() is None
        process.kill()
        process.wait()
    return died


def _started(guarded: Guarded, told: BinaryIO | None = None) -> subprocess.Popen[bytes]:
    quiet = subprocess.DEVNULL
    log = quiet if told is None else told
    return subprocess.Popen(
        [PROGRAM, "run"], cwd=guarded.folder, env=environment(guarded.env), stdin=quiet, stdout=quiet, stderr=log
    )


def _touched(database: Path) -> tuple[int, ...]:
    """Changes with each write, committed or not."""
    files = (database, database.with_name(f"{database.name}-wal"))
    return tuple(file.stat().st_mtime_ns if file.exists() else 0 for file in files)


def _wait(holds: Callable[[], bool], *, within_s: float) -> bool:
    never, deadline = Event(), time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline:
            return False
        never.wait(_POLL_S)
    return True


def _ends(guarded: Guarded) -> list[str]:
    """The last life: it must come to the verification by itself, and leave when asked."""
    log = guarded.folder / "last.log"
    with log.open("wb") as told, _started(guarded, told) as process:
        found = []
        # An earlier life may have said it, and one that has only begun has no handler for signals yet.
        if not _wait(lambda: b"watching" in log.read_bytes() and _is_verifying(guarded), within_s=_DONE_WITHIN_S):
            found.append(f"not verifying within {_DONE_WITHIN_S:.0f} s; Slack has {_words(guarded)}")
        process.send_signal(signal.SIGTERM)
        try:
            if status := process.wait(_LEAVES_WITHIN_S):
                found.append(f"it left with {status}")
        except subprocess.TimeoutExpired:
            process.kill()
            found.append(f"it did not leave within {_LEAVES_WITHIN_S:.0f} s")
    return found


def _is_verifying(guarded: Guarded) -> bool:
    return any("verifying the recovery" in m.text for m in guarded.slack.messages() if m.thread_ts is not None)


def _words(guarded: Guarded) -> list[str]:
    return [m.text.splitlines()[0] for m in guarded.slack.messages()]


def _own(guarded: Guarded) -> list[dict[str, object]]:
    answer = httpx.get(
        f"{guarded.url}/api/v1/audit-logs",
        params={"action": "prompt.promote", "limit": 1000},
        headers={"authorization": f"Bearer {guarded.platform.admin.create_token(ALL_SCOPES)}"},
        trust_env=False,
    )
    answer.raise_for_status()
    return [e for e in answer.json()["items"] if e["actorType"] == "api_token"]


def _violations(guarded: Guarded) -> list[str]:
    found = []
    if (n := len(_own(guarded))) != 1:
        found.append(f"{n} promotions by the watchdog")
    if guarded.pointer() != guarded.v1:
        found.append(f"production is on {guarded.pointer()}")
    roots = [m for m in guarded.slack.root_messages() if (key_of(m) or "").endswith(":tripped")]
    if len(roots) != 1:
        found.append(f"{len(roots)} threads in Slack")
    keys = Counter(key_of(m) for m in guarded.slack.messages() if key_of(m) is not None)
    found += [f"{n} messages with the key {key}" for key, n in keys.items() if n > 1]
    return found
