"""When things run, with real threads: no stage, no bug and no clock keeps the others from their turn."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from threading import Event, Semaphore
from typing import TYPE_CHECKING, Any

import pytest

from tests.builders import MINUTE, SECOND, T0
from tests.jobs.rollbacks import tripped
from watchdog.core.notice import Notice, Tone
from watchdog.core.rollback import SagaState
from watchdog.core.terms import Terms
from watchdog.jobs.deps import Standing
from watchdog.jobs.schedule import Every, Schedule
from watchdog.store import outbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.world import World
    from watchdog.clock import Clock
    from watchdog.jobs.deps import Deps

SOON_S = 10.0
ALL_THE_TIME = Terms(fast_tick=timedelta(milliseconds=50), tick=timedelta(0))
ONCE = Terms(fast_tick=timedelta(hours=1), tick=timedelta(0))


@dataclass
class RealWaits:
    """The world's time stands still; threads wait in real seconds."""

    inner: Clock
    speed: float = 1.0

    def now(self) -> datetime:
        return self.inner.now()

    def monotonic(self) -> float:
        return self.inner.monotonic()

    def wait(self, event: Event, seconds: float) -> bool:
        return event.wait(seconds)


@dataclass
class Seen:
    """
    A platform or notifier that lets tests wait for what is asked of it.

    Attributes:
        instead: done in place of a method, which gets the true method first and then its arguments.
    """

    inner: Any
    instead: dict[str, Callable[..., Any]] = field(default_factory=dict)
    asked: dict[str, Semaphore] = field(default_factory=dict)

    def wait_for(self, method: str, times: int = 1) -> None:
        for _ in range(times):
            assert self.asked.setdefault(method, Semaphore(0)).acquire(timeout=SOON_S), f"{method} was not called"

    def __getattr__(self, name: str) -> Any:
        true = getattr(self.inner, name)
        if not callable(true):
            return true

        def call(*args: Any, **given: Any) -> Any:
            try:
                instead = self.instead.get(name)
                return true(*args, **given) if instead is None else instead(true, *args, **given)
            finally:
                self.asked.setdefault(name, Semaphore(0)).release()

        return call


@dataclass
class Running:
    schedule: Schedule
    platform: Seen
    notifier: Seen
    dead: list[str]
    died: Event

    def ticks(self, n: int) -> None:
        """Wait until so many more have begun to look."""
        self.platform.wait_for("prompts", n)


@contextmanager
def running(
    world: World,
    terms: Terms = ALL_THE_TIME,
    *,
    instead: dict[str, Callable[..., Any]] | None = None,
    patience_s: float = 120.0,
) -> Iterator[Running]:
    """The daemon's threads; they have ended when the block has."""
    platform, notifier = Seen(world.deps.platform, instead or {}), Seen(world.deps.notifier)
    died = Event()
    dead: list[str] = []

    def on_dead(why: str) -> None:
        dead.append(why)
        died.set()

    standing = Standing(policy=replace(world.deps.policy, terms=terms))
    deps: Deps = replace(
        world.deps, platform=platform, notifier=notifier, standing=standing, clock=RealWaits(world.own_clock)
    )
    schedule = Schedule(deps, on_dead=on_dead, patience_s=patience_s)
    before = set(threading.enumerate())
    schedule.start()
    try:
        yield Running(schedule, platform, notifier, dead, died)
    finally:
        schedule.stop()
        ours = [t for t in threading.enumerate() if t not in before and t.name in ("actor", "sender", "sentinel")]
        for thread in ours:
            thread.join(SOON_S)
        assert not any(thread.is_alive() for thread in ours)


def notice(name: str) -> Notice:
    return Notice(key=f"t:{name}", thread="t", tone=Tone.QUIET, headline=name, step=name, at=T0)


@pytest.mark.parametrize(
    ("jump", "why"),
    [
        (timedelta(0), "the usual case"),
        (timedelta(days=400), "nothing of what was missed is made up for, one by one"),
        (timedelta(days=-400), "nor is the old time waited for"),
    ],
)
def test_the_trigger_knows_only_so_long_from_now(jump: timedelta, why: str) -> None:
    """Whatever the clock did since it fired last."""
    every = Every(5.0)
    fired = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
    now = fired + 5 * SECOND + jump

    assert fired == every.get_next_fire_time(None, fired)
    assert now + 5 * SECOND == every.get_next_fire_time(fired, now), why


def test_ticks_follow_one_another(world: World) -> None:
    """Each completes, and none fails."""
    with running(world) as daemon:
        daemon.ticks(4)
    assert daemon.schedule.pulse.completed >= 3
    assert {} == daemon.schedule.pulse.failing
    assert [] == daemon.dead


def test_a_stage_that_raises_does_not_stop_the_others(world: World) -> None:
    """Not even with a bug: detection breaks, and the calls of an open watch are read all the same."""
    world.look()
    world.promote(world.v2)
    world.clock.move(30 * SECOND)
    world.look()
    world.clock.move(30 * SECOND)

    def broken(_true: Callable[..., Any]) -> Any:
        raise ZeroDivisionError("a bug")

    with running(world, instead={"prompts": broken}) as daemon:
        daemon.ticks(2)
        daemon.platform.wait_for("feedback")
        world.calls(world.v2, 30, failures=30, since=world.clock.now() + SECOND, every=SECOND)
        world.clock.move(2 * MINUTE)
        daemon.platform.wait_for("promote")

        said = daemon.schedule.pulse.failing["detect"]
        assert "a mistake in this program (ZeroDivisionError); its log has it" == said
        assert said == daemon.schedule.vitals().blind_why  # what /readyz says
        daemon.ticks(2)
    assert world.v1 == world.pointer()


def test_a_bug_in_a_step_of_a_rollback_does_not_end_the_actor(world: World) -> None:
    """It is seen in the log, and the step is made again."""
    tripped(world)
    bugs = iter([True])

    def broken_once(true: Callable[..., Any], *args: Any) -> Any:
        if next(bugs, False):
            raise ZeroDivisionError("a bug")
        return true(*args)

    with running(world, ONCE, instead={"prompt": broken_once}) as daemon:
        daemon.platform.wait_for("promote")
    assert [SagaState.DONE] == [i.state for i in world.incidents()]
    assert 1 == len(world.reverts())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_the_death_of_the_schedulers_thread_is_noticed(world: World) -> None:
    """APScheduler still calls itself running then; here its own loop is ended by a trigger that cannot be computed."""
    with running(world, Terms(fast_tick=timedelta(days=999_999_000))) as daemon:
        assert daemon.died.wait(SOON_S)
    assert ["the scheduler's thread has ended"] == daemon.dead


def test_a_tick_that_never_ends_is_noticed(world: World) -> None:
    """A daemon that no longer looks is worse than none."""
    gate = Event()

    def stuck(true: Callable[..., Any]) -> Any:
        gate.wait(SOON_S)
        return true()

    with running(world, instead={"prompts": stuck}, patience_s=0.2) as daemon:
        assert daemon.died.wait(SOON_S)
        gate.set()
    assert ["no tick has completed for 0.2 s"] == daemon.dead


@pytest.mark.parametrize("step_s", [3600.0, -3600.0], ids=["forward", "back"])
def test_a_step_of_the_clock_is_followed_by_a_look_at_once(
    world: World, step_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next tick was an hour away."""
    true = time.time
    with running(world, ONCE) as daemon:
        daemon.ticks(1)
        monkeypatch.setattr(time, "time", lambda: true() + step_s)
        daemon.ticks(1)
    assert [] == daemon.dead


def test_a_step_during_a_tick_is_followed_by_a_look_once_that_is_over(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look that was wanted at once is refused while another runs, and the next tick was an hour away."""
    true, gate, refused = time.time, Event(), Event()

    def slow(look: Callable[..., Any]) -> Any:
        gate.wait(SOON_S)
        return look()

    class Refusals(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "maximum number of running instances" in record.getMessage():
                refused.set()

    heard = Refusals()
    logging.getLogger("apscheduler.scheduler").addHandler(heard)
    try:
        with running(world, ONCE, instead={"prompts": slow}) as daemon:
            monkeypatch.setattr(time, "time", lambda: true() + 3600)
            assert refused.wait(SOON_S)
            gate.set()
            daemon.ticks(2)
    finally:
        logging.getLogger("apscheduler.scheduler").removeHandler(heard)


def test_stopping_drains(world: World) -> None:
    """The rollback's steps that are due are made, what is in the outbox is sent, and no tick begins any more."""
    with running(world) as daemon:
        daemon.ticks(1)
        with world.store.write() as connection:
            outbox.put(connection, notice("last words"))
    looked = daemon.platform.asked["prompts"]
    while looked.acquire(blocking=False):
        pass

    assert any("last words" in text for text in world.said())
    assert not looked.acquire(timeout=0.2)
    assert daemon.schedule.pulse.completed > 0


def test_stopping_lets_the_step_of_a_rollback_finish(world: World) -> None:
    """The request is out when the signal comes; its answer is still written down."""
    tripped(world)
    sent, gate = Event(), Event()

    def held(true: Callable[..., Any], *args: Any, **given: Any) -> Any:
        sent.set()
        gate.wait(SOON_S)
        return true(*args, **given)

    with running(world, ONCE, instead={"promote": held}) as daemon:
        assert sent.wait(SOON_S)
        stopper = threading.Thread(target=daemon.schedule.stop)
        stopper.start()
        gate.set()
        stopper.join(SOON_S)
    assert world.incident.state in (SagaState.PROMOTED, SagaState.CONFIRMED, SagaState.DONE)
    assert 1 == len(world.reverts())


def test_stopping_does_not_wait_for_ever_for_a_slack_that_hangs(world: World) -> None:
    """What was not sent is in the outbox, and the next start sends it."""
    gate = Event()

    def hanging(true: Callable[..., Any], *args: Any, **given: Any) -> Any:
        gate.wait(SOON_S)
        return true(*args, **given)

    with running(world, ONCE) as daemon:
        daemon.notifier.instead["deliver"] = hanging
        with world.store.write() as connection:
            outbox.put(connection, notice("last words"))
        started = time.monotonic()
        daemon.schedule.stop(flush_s=0.2)
        took_s = time.monotonic() - started
        gate.set()
    assert took_s < SOON_S / 2
