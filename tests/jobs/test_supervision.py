"""Threads that end or hang for real: a fresh start where guarding depends on them, a word in the log where not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import pytest

from tests.jobs.test_schedule import ALL_THE_TIME, ONCE, SOON_S, RealWaits, Seen, notice, running
from watchdog.core.terms import Terms
from watchdog.jobs import heartbeat, tick
from watchdog.jobs.deps import Standing
from watchdog.jobs.schedule import Schedule
from watchdog.store import outbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.world import World
    from watchdog.jobs.deps import Deps

QUIET_DEATH = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")


@dataclass
class Deadly:
    """A store that ends, or holds, the thread of that name when it looks into it."""

    inner: Any
    name: str
    gate: Event | None = None
    met: Event = field(default_factory=Event)

    def __getattr__(self, attribute: str) -> Any:
        if attribute in ("read", "write") and threading.current_thread().name == self.name:
            self.met.set()
            if self.gate is None:
                raise SystemExit
            self.gate.wait(SOON_S)
        return getattr(self.inner, attribute)


@dataclass
class Supervised:
    schedule: Schedule
    dead: list[str]
    died: Event


def supervised(world: World, store: Deadly, *, round_patience_s: float | None = None) -> Supervised:
    dead: list[str] = []
    died = Event()
    deps: Deps = replace(
        world.deps,
        store=store,  # type: ignore[arg-type]
        platform=Seen(world.deps.platform),  # type: ignore[arg-type]
        standing=Standing(policy=replace(world.deps.policy, terms=ALL_THE_TIME)),
        clock=RealWaits(world.own_clock),
    )
    schedule = Schedule(
        deps,
        on_dead=lambda why: (dead.append(why), died.set()),
        round_patience_s=round_patience_s,  # type: ignore[func-returns-value,arg-type]
    )
    return Supervised(schedule, dead, died)


@QUIET_DEATH
@pytest.mark.parametrize("name", ["actor", "sender", "diagnosis"])
def test_a_thread_that_ends_is_noticed(world: World, name: str) -> None:
    """Python lets it go without a word: no exception reaches anybody, and the process looks alive."""
    found = supervised(world, Deadly(world.store, name))
    found.schedule.start()
    try:
        assert found.died.wait(SOON_S)
    finally:
        found.schedule.stop()

    assert [f"the thread of the {name} has ended"] == found.dead


@pytest.mark.parametrize("name", ["actor", "sender"])
def test_a_thread_that_hangs_is_noticed(world: World, name: str) -> None:
    """Ticks complete all the while."""
    gate = Event()
    found = supervised(world, Deadly(world.store, name, gate), round_patience_s=1.5)
    found.schedule.start()
    try:
        assert found.died.wait(SOON_S)
        assert found.schedule.pulse.completed > 2
    finally:
        gate.set()
        found.schedule.stop()

    assert [f"the {name} has not come round for 1.5 s"] == found.dead


def test_a_diagnosis_that_hangs_is_said_and_ends_nothing(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Production is guarded without it."""
    gate = Event()
    store = Deadly(world.store, "diagnosis", gate)
    found = supervised(world, store, round_patience_s=1.2)
    # The others come round within the patience: the actor once a second, the sender when it is rung for.
    ringing = threading.Event()

    def ring() -> None:
        while not ringing.wait(0.3):
            found.schedule._deps.bell.sender.set()

    ringer = threading.Thread(target=ring)
    ringer.start()
    found.schedule.start()
    try:
        deadline = time.monotonic() + SOON_S
        while not any(getattr(r, "action", "") == "thread_hangs" for r in caplog.records):
            assert time.monotonic() < deadline
            Event().wait(0.05)
    finally:
        gate.set()
        ringing.set()
        ringer.join()
        found.schedule.stop()

    assert [] == found.dead
    assert ["diagnosis"] == [r.worker for r in caplog.records if getattr(r, "action", "") == "thread_hangs"]  # type: ignore[attr-defined]


def test_the_supervisor_hears_of_ticks_that_completed_and_of_nothing_else(world: World) -> None:
    """The process is alive, its threads come round, and one look hangs: no word that it lives."""
    heard: list[int] = []
    gate, hanging = Event(), Event()
    platform = Seen(world.deps.platform)

    def prompts(true: Callable[..., Any]) -> Any:
        if len(heard) >= 2:
            hanging.set()
            gate.wait(SOON_S)
        return true()

    platform.instead["prompts"] = prompts
    policy = replace(world.deps.policy, terms=ALL_THE_TIME)
    deps = replace(
        world.deps,
        platform=platform,  # type: ignore[arg-type]
        standing=Standing(policy=policy),
        clock=RealWaits(world.own_clock),
    )
    schedule = Schedule(deps, on_dead=print, on_tick=lambda: heard.append(schedule.pulse.completed))
    schedule.start()
    try:
        assert hanging.wait(SOON_S)
        Event().wait(1.1)
        while_hanging = len(heard)
        Event().wait(1.6)

        assert while_hanging == len(heard)
        assert heard == sorted(set(heard))
    finally:
        gate.set()
        schedule.stop()


def test_a_sender_with_much_to_send_does_not_hang(world: World) -> None:
    """It comes round with each notice, however long all of them take together."""
    slow = Event()

    def deliver(true: Callable[..., Any], *args: Any, **given: Any) -> Any:
        slow.wait(0.4)
        return true(*args, **given)

    with world.store.write() as connection:
        for i in range(6):
            outbox.put(connection, replace(notice(f"n{i}"), thread=f"t{i}"))
    with running(world, ONCE) as daemon:
        daemon.notifier.instead["deliver"] = deliver
        daemon.notifier.wait_for("deliver", 5)
        (sender,) = [w for w in daemon.schedule.vitals().workers if w.name == "sender"]

        assert sender.silent_s < 1.5


def test_the_patience_follows_what_the_platform_may_take(world: World) -> None:
    """With requests of two minutes each, ten minutes are no reason to die."""
    schedule = Schedule(
        replace(
            world.deps,
            standing=Standing(policy=replace(world.deps.policy, terms=Terms(settle=timedelta(minutes=4)))),
        ),
        on_dead=print,
    )

    assert {2400.0} == {w.patience_s for w in schedule.vitals().workers if w.name != "sentinel"}


def test_a_tick_that_overruns_is_said_once_for_each_spell(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look every second, of which some take two."""
    slow = [0.0, 1.2, 1.2, 0.0, 1.2]
    platform = Seen(world.deps.platform)

    def prompts(true: Callable[..., Any]) -> Any:
        Event().wait(slow.pop(0))
        return true()

    platform.instead["prompts"] = prompts
    policy = replace(world.deps.policy, terms=Terms(tick=timedelta(0)))
    deps = replace(world.deps, platform=platform, standing=Standing(policy=policy))  # type: ignore[arg-type]
    pulse = tick.Pulse()
    caplog.set_level("INFO", logger="watchdog.jobs.tick")
    for _ in range(5):
        tick.run(deps, pulse)

    said = [r.action for r in caplog.records if getattr(r, "action", "").startswith("tick_")]  # type: ignore[attr-defined]
    assert ["tick_overran", "tick_in_time", "tick_overran"] == said
    assert (3, 5) == (pulse.overran, sum(pulse.took.counts))


@dataclass
class Switch:
    """A dead man's switch that says what it is told to."""

    problem: str = ""
    pressed: int = 0

    def press(self) -> str:
        self.pressed += 1
        return self.problem

    def close(self) -> None:
        """Nothing is open."""


def test_only_completed_ticks_are_told_of(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """A watchdog whose looks hang must not claim to live; one that is not heard says so once for each spell."""
    caplog.set_level("INFO", logger="watchdog.jobs.heartbeat")
    switch, pulse = Switch(), tick.Pulse()
    beat = heartbeat.Heartbeat(replace(world.deps, dead_mans_switch=switch), pulse)

    beat.run()
    assert 0 == switch.pressed
    for problem, completed in (("", 1), ("", 1), ("gone", 2), ("gone", 3), ("gone", 3), ("", 3), ("", 3)):
        switch.problem, pulse.completed = problem, completed
        beat.run()
    assert 5 == switch.pressed
    assert ["heartbeat_failed", "heartbeat_heard"] == [r.action for r in caplog.records]  # type: ignore[attr-defined]


def test_the_daemon_presses_with_its_first_tick(world: World) -> None:
    """And a switch that hangs holds up nothing."""
    gate, pressed = Event(), Event()

    @dataclass
    class Hanging(Switch):
        def press(self) -> str:
            pressed.set()
            gate.wait(SOON_S)
            return ""

    with running(replace_switch(world, Hanging())) as daemon:
        assert pressed.wait(SOON_S)
        before = daemon.schedule.pulse.completed
        daemon.ticks(before + 5)
        gate.set()
    assert [] == daemon.dead


def replace_switch(world: World, switch: Switch) -> World:
    world.deps = replace(world.deps, dead_mans_switch=switch)
    return world


STOPPED = """
import os, sys, threading
from pathlib import Path
from tests.jobs.conftest import World, Terms, timedelta
from tests.jobs.test_schedule import ALL_THE_TIME, running
from watchdog.jobs import schedule
schedule._STOPPED_S = 1.5
terms = Terms(baseline=timedelta(hours=1))
with World(Path(sys.argv[1]), baseline_calls=60, baseline_failures=0, terms=terms) as world:
    with running(world, ALL_THE_TIME, patience_s=1.0) as daemon:
        daemon.ticks(3)
        print("ticking", flush=True)
        sys.stdin.readline()
        daemon.ticks(30)
        print("dead" if daemon.dead else "well", daemon.dead, flush=True)
"""


def test_a_process_that_was_stopped_does_not_hold_that_against_itself(tmp_path: Path) -> None:
    """SIGSTOP for longer than its patience, then SIGCONT: it looks again instead of giving itself up."""
    with subprocess.Popen(
        [sys.executable, "-c", STOPPED, str(tmp_path)],
        cwd=Path(__file__).parents[2],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert "ticking\n" == process.stdout.readline()
        process.send_signal(signal.SIGSTOP)
        Event().wait(2.5)
        process.send_signal(signal.SIGCONT)
        process.stdin.write("go on\n")
        process.stdin.flush()

        assert "well []\n" == process.stdout.readline()
