"""
Three daemons on one PostgreSQL, and a monkey that kills them, stops them for longer than their lease and cuts their
connections, until all that they were given is done.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

import httpx
from sqlalchemy import text

from tests import postgres
from tests.replicas.cases import Cases, story_watch
from tests.replicas.replica import LEASE, Where
from tests.world import ALL_SCOPES
from watchdog.core.incident import Recovery
from watchdog.core.rollback import SagaState
from watchdog.core.watch import WatchState
from watchdog.embedded.server import EmbeddedPlatform
from watchdog.embedded.slack_workspace import SlackWorkspace
from watchdog.errors import StoreError
from watchdog.notify.slack_blocks import metadata_key
from watchdog.store import audit, incidents, outbox, watches
from watchdog.store.outbox import Delivery

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("one", "two", "three")
# How far ahead of the true time each clock is, where they are apart: most of an hour, and decades as without a battery.
_AHEAD_S = {"one": 0.0, "two": 3000.0, "three": -20 * 365 * 86_400.0}
# So many rollbacks are under way at once: more would wait for the same few threads.
_AT_ONCE = 60
# A harmless version is judged well once so many of its calls were.
_JUDGED_CALLS = 20
_SETTLED = frozenset({SagaState.DONE, SagaState.SUPERSEDED, SagaState.CANCELLED, SagaState.NEEDS_HUMAN})


@dataclass
class Replica:
    """
    One process, started again whenever it was killed.

    Attributes:
        ahead_s: of the true time, its clock.
        stopped_until: by `time.monotonic`, while it is stopped.
    """

    name: str
    where: Where
    log: Path
    ahead_s: float = 0.0
    process: subprocess.Popen[bytes] | None = None
    stopped_until: float | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            command = (sys.executable, "-m", "tests.replicas.replica", self.where.to_json(self.name, self.ahead_s))
            self.process = subprocess.Popen(command, stdout=log, stderr=log)

    def send(self, number: int) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    def end(self, patience_s: float = 60.0) -> int:
        """The exit code; it is killed where it does not end."""
        if self.process is None:
            return 0
        self.send(signal.SIGCONT)
        self.send(signal.SIGTERM)
        try:
            return self.process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


@dataclass
class Battery:
    """
    Attributes:
        count: rollbacks that are inserted at their intent.
        stories: promotions that are watched from the beginning.
        calm: nothing is killed, stopped or cut.
        apart: each replica has another time.
        done_to: how often the monkey did what.
    """

    folder: Path
    count: int
    stories: int
    seed: int
    patience_s: float
    calm: bool = False
    apart: bool = False
    done_to: Counter[str] = field(default_factory=Counter)
    stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        self.random = random.Random(self.seed)  # noqa: S311 - to be seen again, not to be kept secret
        try:
            self._enter()
        except BaseException:
            self.stack.close()
            raise
        return self

    def _enter(self) -> None:
        database = self.stack.enter_context(postgres.database(self.stack.enter_context(postgres.server())))
        where = Where(database=database, platform="", token="", slack="", origin=datetime.now(UTC).isoformat())
        self.platform = EmbeddedPlatform(self.folder / "platform.db", where.clock(), durable=False)
        self.stack.enter_context(self.platform)
        self.slack = SlackWorkspace(self.folder / "slack.db")
        slack = self.slack.start()
        self.stack.callback(self.slack.stop)
        token = self.platform.admin.create_token(ALL_SCOPES)
        self.where = Where(
            database=database, platform=self.platform.base_url, token=token, slack=slack, origin=where.origin
        )
        self.deps = self.where.deps()
        self.stack.callback(self.deps.store.close)
        self.stack.callback(self.deps.platform.close)
        self.deps.store.migrate()
        self.cases = Cases(self.platform.admin, self.deps)
        self.cases.add_stories(self.stories)
        self.replicas = [
            Replica(name, self.where, self.folder / f"{name}.log", _AHEAD_S[name] if self.apart else 0.0)
            for name in NAMES
        ]
        for replica in self.replicas:
            self.stack.callback(replica.end)
            replica.start()

    def __exit__(self, *_: object) -> None:
        self.stack.close()

    def run(self) -> bool:
        """Until everything is done; False when it is not within the patience."""
        began_s = time.monotonic()
        act_at_s = began_s + 5.0
        ticks = threading.Event()
        while time.monotonic() - began_s < self.patience_s:
            ticks.wait(0.5)
            self._go_on()
            if not self.calm and time.monotonic() >= act_at_s:
                self._disturb()
                act_at_s = time.monotonic() + self.random.uniform(4.0, 10.0)
            self._wake()
            if self._is_done():
                return True
        return False

    def end(self) -> list[int]:
        """All replicas, in good order; their exit codes."""
        return [replica.end() for replica in self.replicas]

    def _go_on(self) -> None:
        try:
            with self.deps.store.read() as connection:
                adopted = connection.execute(
                    text("SELECT count(*) FROM cursors WHERE name = 'promotions'")
                ).scalar_one()
            if not adopted:
                return
            self.cases.call()
            self.cases.promote_next()
            self.cases.approve_held()
            under_way = len(self.cases.bad) - self._settled_cases()
            room = min(_AT_ONCE - under_way, self.count - len(self.cases.bad), 20)
            if room > 0:
                self.cases.add_rollbacks(room)
        except StoreError:
            pass

    def _settled_cases(self) -> int:
        with self.deps.store.read() as connection:
            found = connection.execute(
                text(
                    "SELECT count(*) FROM incidents WHERE prompt_slug LIKE 'case-%' AND state IN ('done', 'confirmed')"
                )
            )
            return int(found.scalar_one())

    def _disturb(self) -> None:
        replica = self.random.choice(self.replicas)
        what = self.random.choice(("kill", "kill", "stop", "cut"))
        stopped = [r for r in self.replicas if r.stopped_until is not None]
        if what == "kill":
            replica.send(signal.SIGKILL)
            if replica.process is not None:
                replica.process.wait()
            replica.stopped_until = None
            replica.start()
        elif what == "stop" and not stopped:
            replica.send(signal.SIGSTOP)
            replica.stopped_until = time.monotonic() + LEASE.length_s + self.random.uniform(0.5, 6.0)
        elif what == "cut" and not stopped:
            # Never of one that is stopped: that is what is not promised, see docs/operations.md.
            cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = :name"
            with self.deps.store.claiming() as connection:
                connection.execute(text(cut), {"name": replica.name})
        else:
            return
        self.done_to[what] += 1

    def _wake(self) -> None:
        for replica in self.replicas:
            if replica.stopped_until is not None and time.monotonic() >= replica.stopped_until:
                replica.send(signal.SIGCONT)
                replica.stopped_until = None
            elif replica.process is not None and replica.process.poll() is not None:
                self.done_to["ended by itself"] += 1
                replica.start()

    def _is_done(self) -> bool:
        if len(self.cases.bad) < self.count or not all(s.promoted for s in self.cases.stories):
            return False
        with self.deps.store.read() as connection:
            if outbox.waiting(connection):
                return False
            found = incidents.all_incidents(connection, limit=1_000_000)
            watched = watches.all_watches(connection, limit=1_000_000)
        open_still = [
            i for i in found if i.state not in _SETTLED or i.recovery in (Recovery.PENDING, Recovery.VERIFYING)
        ]
        if open_still or len(found) < self.count + sum(s.bad for s in self.cases.stories):
            return False
        return all(self._judged(watched, n) for n in range(len(self.cases.stories)))

    def _judged(self, watched: tuple[object, ...], n: int) -> bool:
        story = self.cases.stories[n]
        found = story_watch(watched, story)  # type: ignore[arg-type]
        if found is None:
            return False
        return found.state is WatchState.TRIPPED if story.bad else found.candidate.calls >= _JUDGED_CALLS


def violations(battery: Battery) -> list[str]:
    """From the platform's own log and the channel's messages; one sentence each."""
    said: list[str] = []
    with battery.deps.store.read() as connection:
        found = incidents.all_incidents(connection, limit=1_000_000)
        parcels = outbox.parcels(connection)
        watched = watches.all_watches(connection, limit=1_000_000)
        broken = audit.checked(connection).broken
    if broken is not None:
        said.append(f"the audit chain is broken: {broken}")
    made = _promotions_by_us(battery)
    for incident in found:
        n = made.pop(f"watchdog:{incident.id}", 0)
        if n != 1:
            said.append(f"{incident.prompt_slug}: {n} promotions in the platform's log; its state is {incident.state}")
        if incident.state is not SagaState.DONE:
            said.append(f"{incident.prompt_slug}: ended as {incident.state.value}")
    said += [f"a promotion that belongs to no incident: {note}" for note in made]
    pointers = {p.id: p.production_version_id for p in battery.deps.platform.prompts()}
    wanted = {
        **battery.cases.bad,
        **{s.prompt_id: s.good_version if s.bad else s.version for s in battery.cases.stories},
    }
    said += [f"{p}: production is on {pointers[p]}, not on {v}" for p, v in wanted.items() if pointers[p] != v]
    said += _of_channel(battery, parcels)
    said += [
        f"story {n}: its watch was not judged"
        for n in range(len(battery.cases.stories))
        if not battery._judged(watched, n)
    ]
    return said


def _promotions_by_us(battery: Battery) -> Counter[str]:
    """The platform's log: by the note that each was made with."""
    found: Counter[str] = Counter()
    after = ""
    while True:
        answer = httpx.get(
            f"{battery.platform.base_url}/api/v1/audit-logs",
            params={"action": "prompt.promote", "limit": 1000, **({"cursor": after} if after else {})},
            headers={"authorization": f"Bearer {battery.where.token}"},
            trust_env=False,
            timeout=60,
        )
        answer.raise_for_status()
        page = answer.json()
        found.update(str(e["metadata"].get("reason")) for e in page["items"] if e["actorType"] == "api_token")
        after = page["nextCursor"]
        if not after:
            return found


def _of_channel(battery: Battery, parcels: tuple[outbox.Parcel, ...]) -> list[str]:
    posted: Counter[str] = Counter()
    for message in battery.slack.messages():
        posted[((message.payload.get("metadata") or {}).get("event_payload") or {}).get("key", "no key")] += 1
    said = []
    for parcel in parcels:
        n = posted.pop(metadata_key(parcel.key), 0)
        if parcel.state is not Delivery.SENT:
            said.append(f"notice {parcel.key} is {parcel.state.value}")
        if n != 1:
            said.append(f"notice {parcel.key} stands {n} times in the channel")
    return said + [f"a message that nobody put out: {key}" for key in posted]
