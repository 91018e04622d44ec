"""
The whole daemon but its threads: the real jobs on a real database, and everything around them simulated by one seed.

Time goes from one thing that can happen to the next: every few seconds while something is going on, by hours while
nothing is.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.simulation.clock import Calendar, DaemonClock
from tests.simulation.faults import Crash, Fault, Weather
from tests.simulation.people import KINDS, Kind, People
from tests.simulation.platform import Production, SimulatedPlatform
from tests.simulation.slack import SimulatedSlack
from tests.simulation.traffic import Behaviour, Source, Traffic
from watchdog.config.packs import load_rules
from watchdog.core.incident import Recovery
from watchdog.core.rollback import MOVING
from watchdog.core.terms import Terms
from watchdog.core.watch import WatchState
from watchdog.errors import PlatformError, StoreError
from watchdog.jobs import advance, commands, detect, send, tick
from watchdog.jobs.deps import Deps, Policy, Standing
from watchdog.store import incidents, outbox, watches
from watchdog.store.database import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

BEGIN = datetime(2026, 1, 5, tzinfo=UTC)
LENGTH = timedelta(hours=1)
_FAST = timedelta(seconds=10)
_STEADY = timedelta(seconds=60)
_SLOW = timedelta(minutes=5)
_IDLE = timedelta(hours=12)
_FAST_FOR = timedelta(minutes=3)
_STEADY_FOR = timedelta(minutes=30)
# Quiet days are left out: they read seven days of every prompt each night, and act on nothing.
_LEFT_OUT = "calibrate"


@dataclass(frozen=True, kw_only=True)
class Setting:
    """
    Attributes:
        days: how long the story is; all prompts live it side by side.
        every: mean time between two releases of a prompt.
        trouble: share of the releases around which something else goes wrong, in [0, 1].
        kinds: of what is released.
        wrap: what the daemon is handed instead of its parts, to break it on purpose.
    """

    seed: int
    prompts: int = 5
    days: float = 73.0
    every: timedelta = timedelta(days=15)
    trouble: float = 0.6
    kinds: tuple[Kind, ...] = KINDS
    wrap: Callable[[Deps], Deps] | None = None

    @property
    def prompt_years(self) -> float:
        return self.prompts * self.days / 365.0


class MortalStore:
    """The process may die just before and just after each commit."""

    def __init__(self, store: Store, weather: Weather) -> None:
        self._store, self._weather = store, weather

    @contextmanager
    def write(self, **given: Any) -> Iterator[Any]:
        fate = self._weather.of_commit()
        with self._store.write(**given) as connection:
            yield connection
            if fate is Fault.CRASH_BEFORE:
                raise Crash
        if fate is Fault.CRASH_AFTER:
            raise Crash

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


@dataclass
class Simulation:
    """
    One organisation and its watchdog.

    Attributes:
        folder: of the database; one in memory is the fastest.
        deaths: of the daemon.
        ticks: it made.
    """

    setting: Setting
    folder: Path
    deaths: int = 0
    ticks: int = 0
    deps: Deps = field(init=False)

    def __post_init__(self) -> None:
        setting = self.setting
        self.calendar = Calendar(BEGIN)
        self.clock = DaemonClock(self.calendar)
        self.weather = Weather(np.random.default_rng((setting.seed, 1)))
        traffic = Traffic(setting.seed)
        self.platform = SimulatedPlatform(self.calendar, self.clock, traffic, self.weather)
        self.slack = SimulatedSlack(self.calendar, self.weather)
        self.end = BEGIN + timedelta(days=setting.days)
        self.people = People(
            np.random.default_rng((setting.seed, 2)),
            self.calendar,
            self.clock,
            self.platform,
            self.weather,
            every=setting.every,
            until=self.end,
            trouble=setting.trouble,
            kinds=setting.kinds,
        )
        self._settle_in(np.random.default_rng((setting.seed, 3)))
        self.url = f"sqlite:///{self.folder / f'simulation-{setting.seed}.db'}"
        self.rules = load_rules(("default",))
        self.terms = Terms(baseline=timedelta(hours=6), length=LENGTH)
        self.start()

    def _settle_in(self, rng: np.random.Generator) -> None:
        """Prompts that have been on production for a while, with traffic of different kinds."""
        for i in range(self.setting.prompts):
            source = Source(
                index=i,
                per_s=float(np.exp(rng.uniform(np.log(0.01), np.log(0.05)))),
                usual_ms=float(rng.uniform(300, 2000)),
                spread=float(rng.uniform(0.2, 0.6)),
                usual_failing=float(rng.uniform(0.0, 0.03)),
            )
            production = Production(id=f"prm_{i}", slug=f"prompt-{i}", source=source)
            self.platform.add(production)
            self.platform.human_promotes(
                production.id, self.platform.save(production.id, Behaviour()), "ana@example.com"
            )
        self.calendar.advance_to(BEGIN + timedelta(days=1))

    def start(self) -> None:
        """A new process, as far as anything in memory goes."""
        store = Store(self.url)
        store.migrate()
        self.store = store
        deps = Deps(
            store=MortalStore(store, self.weather),  # type: ignore[arg-type]
            platform=self.platform,
            notifier=self.slack,
            clock=self.clock,
            standing=Standing(policy=Policy(rules=self.rules, terms=self.terms)),
            reads=1,
        )
        self.deps = self.setting.wrap(deps) if self.setting.wrap is not None else deps

    def run(self) -> None:
        """The story from the first look to a quiet end: whatever is still going on has time to end."""
        self._once()
        self.people.plan()
        while self.calendar.now < self.end:
            self._step()
        self.calendar.advance_to(self.end + timedelta(hours=2))
        self.weather.calm()
        for _ in range(400):
            self._step()
            if self._pace() is _IDLE:
                break
        self.store.close()

    def _step(self) -> None:
        pace = self._pace()
        until = self.calendar.now + pace
        if pace is _IDLE and self.calendar.next_at is not None:
            # Nothing can be seen before something happens.
            until = min(until, max(self.calendar.next_at, self.calendar.now + _FAST))
        self.calendar.advance_to(until)
        self._once()

    def _once(self) -> None:
        def all_of_it() -> None:
            self.look()
            commands.run(self.deps, self.clock.now())
            while advance.run(self.deps, self.clock.now()):
                pass
            while send.run(self.deps, self.clock.now()):
                pass

        self.ticks += 1
        self.outlive(all_of_it)

    def look(self) -> None:
        """What the ticking thread does; nothing is executed, sent or told."""
        self._stage(detect.run)
        for name, stage in tick.STAGES:
            if name != _LEFT_OUT:
                self._stage(stage)

    def outlive(self, work: Callable[[], object]) -> None:
        """Do it, and start anew where the process dies of it."""
        try:
            work()
        except Crash:
            self.deaths += 1
            self.store.close()
            self.calendar.pass_by(timedelta(seconds=2))
            self.start()

    def _stage(self, stage: Callable[[Deps, datetime], int]) -> None:
        """As `jobs.tick` does it: one that fails leaves the others their turn; but no bug is outlived here."""
        with suppress(PlatformError, StoreError):
            stage(self.deps, self.clock.now())

    def _pace(self) -> timedelta:
        """How soon to look again: verdicts do not depend on it, only how long a verdict takes to become a revert."""
        now = self.calendar.now
        with self.store.read() as connection:
            watching = watches.open_watches(connection)
            moving = incidents.in_state(connection, MOVING)
            verifying = incidents.in_recovery(connection, Recovery.VERIFYING)
            unsent = outbox.waiting(connection)
        if moving or any(w.state is WatchState.FREEZING for w in watching):
            return _FAST
        ages = [now - w.promotion.at for w in watching]
        if any(age < _FAST_FOR for age in ages):
            return _FAST
        if verifying or unsent or any(age < _STEADY_FOR for age in ages) or self._just_happened(now):
            return _STEADY
        return _SLOW if watching else _IDLE

    def _just_happened(self, now: datetime) -> bool:
        """A promotion that the daemon may not have seen yet."""
        return bool(self.platform.log) and now - self.platform.log[-1].promotion.at < _FAST_FOR
