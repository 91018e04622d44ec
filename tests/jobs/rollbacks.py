"""How a rollback is brought about, broken, and looked at from outside."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import Event
from typing import TYPE_CHECKING, Any

from tests.builders import MINUTE, SECOND, rule_set, success_rule
from tests.world import World
from watchdog.core.incident import Recovery
from watchdog.core.rollback import SagaState
from watchdog.core.rules import Action
from watchdog.embedded.faults import Answering, Fault
from watchdog.jobs import advance, tick

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import timedelta
    from pathlib import Path

    from watchdog.core.rules import RuleSet

PROMOTE = "*/promote"
APPLIED_AND = {
    "the connection ends": Fault(answering=Answering.DROP, apply=True),
    "500": Fault(answering=Answering.STATUS, status=500, apply=True),
    "bytes that are no JSON": Fault(answering=Answering.GARBAGE, apply=True),
    "half an answer": Fault(answering=Answering.HALF),
    "an answer that breaks off": Fault(answering=Answering.CUT),
}
NOT_APPLIED_AND = {
    "the connection ends": Fault(answering=Answering.DROP),
    "500": Fault(answering=Answering.STATUS, status=500),
    "a login page": Fault(answering=Answering.HTML, status=200),
    "429": Fault(answering=Answering.STATUS, status=429, retry_after_s=15),
}
READS_FAIL_WITH = {
    "403": Fault(answering=Answering.STATUS, status=403),
    "429": Fault(answering=Answering.STATUS, status=429, retry_after_s=15),
    "500": Fault(answering=Answering.STATUS, status=500),
    "bytes that are no JSON": Fault(answering=Answering.GARBAGE),
}


def tripped(world: World) -> None:
    """v2 was found harmful; the intent to revert is committed, and nothing was sent."""
    world.look()
    world.promote(world.v2)
    world.calls(world.v2, 30, failures=30, since=world.clock.now() + SECOND, every=SECOND)
    world.clock.move(2 * MINUTE)
    tick.run(world.deps, world.pulse)
    assert SagaState.INTENT is world.incident.state


def inject(world: World, fault: Fault, path: str, times: int | None = 1, method: str = "POST") -> None:
    world.platform.admin.inject_fault(replace(fault, path=path, method=method, next_n=times))


def rounds(world: World, n: int, every: timedelta = 10 * SECOND) -> None:
    for _ in range(n):
        world.act()
        world.clock.move(every)


def requests(world: World) -> int:
    return len(world.platform.faults.seen(PROMOTE, "POST"))


def reverted_once(world: World) -> None:
    world.look()
    assert world.v1 == world.pointer()
    assert 1 == len(world.reverts())
    assert (SagaState.DONE, Recovery.VERIFYING) == (world.incident.state, world.incident.recovery)
    assert [world.v2] == [w.candidate_version_id for w in world.watches()]
    assert 1 == len(world.roots())


def human_called(world: World) -> str:
    """Returns: the alert."""
    assert SagaState.NEEDS_HUMAN is world.incident.state
    assert "needs a human NOW" in world.roots()[0].text
    return world.said()[-1]


@dataclass
class Held:
    """A platform that holds every promotion until it is let go."""

    world: World
    gate: Event

    def let_go(self) -> None:
        """Returns when the promotion was applied."""
        self.gate.set()
        for _ in range(500):
            if self.world.reverts():
                return
            Event().wait(0.01)
        raise AssertionError("the promotion was not applied")


def held_promotion(world: World) -> Held:
    """Our request is with the platform, and its deadline has passed."""
    tripped(world)
    world.timeout_s = 1.5
    gate = world.platform_clock.gate = Event()
    world.callback(gate.set)
    world.restart()
    inject(world, Fault(answering=Answering.TRUE, delay_s=1.0), PROMOTE)
    advance.run(world.deps, world.clock.now())
    assert SagaState.SENDING is world.incident.state
    return Held(world, gate)


_COUNTING = rule_set(success_rule(action=Action.COUNTDOWN, late_onset=Action.REVERT))


@contextmanager
def counting_down(folder: Path, rules: RuleSet = _COUNTING, failing: int = 12, **given: Any) -> Iterator[World]:
    """A world, made with what is given, in which v2 was found harmful and its revert is due in five minutes."""
    with World(folder, rules=rules, **given) as world:
        world.tick()
        world.promote(world.v2)
        world.calls(world.v2, failing, failures=failing, since=world.clock.now() + SECOND, every=SECOND)
        world.clock.move(MINUTE)
        world.tick()
        assert SagaState.COUNTDOWN is world.incident.state
        yield world
