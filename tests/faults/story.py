"""
One whole story on real HTTP with a clock that is moved: a bad version is promoted, trips, is reverted, and production
recovers; or a human is called.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Self

from tests.builders import SECOND
from tests.faults.between import Between, platform_names, slack_names
from tests.faults.kept import kept_store
from tests.world import World
from watchdog.core.incident import Recovery
from watchdog.core.rollback import MOVING
from watchdog.core.terms import Terms
from watchdog.errors import StoreError
from watchdog.jobs import diagnose
from watchdog.store import outbox

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.platforms.hostile_server import Seen
    from watchdog.core.rules import RuleSet
    from watchdog.store.database import Store

STEP = 10 * SECOND
# A full look as often as the daemon makes one; the actor and the sender have their turn in between.
_STEPS_A_LOOK = 3
_CALLS_A_STEP = 4
_PAGE = 15
# A short baseline, which is quick to read.
BRISK = Terms(baseline=timedelta(hours=3), min_baseline_calls=20)


@dataclass
class Story(ExitStack):
    """
    Attributes:
        timeout_s: of a request to the platform or to Slack, in real seconds.
        settle: of the watchdog. rules: what judges; None for what judges in the other tests.
        began_at: when the bad version was promoted.
        on_step: called after each step of time, before anything else happens in it.
        store_of: opens the database of an address.
        store_may_fail: a round that the database breaks off is gone over, as the daemon's threads do.
        to_platform, to_slack: in front of what stands between, if anything does; from URL to URL.
    """

    folder: Path
    timeout_s: float = 5.0
    settle: timedelta = BRISK.settle
    rules: RuleSet | None = None
    on_step: Callable[[Story], object] = lambda _: None
    to_platform: Callable[[str], str] = lambda url: url
    to_slack: Callable[[str], str] = lambda url: url
    store_of: Callable[[str], Store] = kept_store
    store_may_fail: bool = False
    steps: int = 0

    def __enter__(self) -> Self:
        ExitStack.__init__(self)
        super().__enter__()
        self.platform = self._between(platform_names)
        self.slack = self._between(slack_names)
        self.world = World(
            self.folder,
            baseline_calls=240,
            baseline_failures=0,
            timeout_s=self.timeout_s,
            slack_timeout_s=self.timeout_s,
            terms=replace(BRISK, settle=self.settle),
            between=self.to_platform(self.platform.url),
            store_of=self.store_of,
            **({} if self.rules is None else {"rules": self.rules}),  # type: ignore[arg-type]
            slack_between=f"{self.to_slack(self.slack.url)}/api/",
        )
        self.enter_context(self.world)
        self.platform.server_url = self.world.platform.base_url
        self.slack.server_url = self.world.slack_url.removesuffix("/api/")
        self.world.look()
        while "detect" in self.world.pulse.failing:
            # A busy machine may make the first look late. What it does not adopt is adopted once it is bad.
            self.world.clock.move(_STEPS_A_LOOK * STEP)
            self.world.look()
        return self

    def _between(self, naming: Callable[[Seen], str]) -> Between:
        between = Between(naming, page_limit=_PAGE)
        self.callback(between.stop)
        return between

    def promote(self) -> None:
        """The bad version."""
        self.began_at = self.world.clock.now()
        self.world.promote(self.world.v2)

    def play(self, until: Callable[[Story], bool], *, at_most: timedelta = timedelta(minutes=50)) -> bool:
        """Step by step; returns whether it came so far."""
        end = self.world.clock.now() + at_most
        while self.world.clock.now() < end:
            self.step()
            if until(self):
                return True
        return False

    def step(self) -> None:
        """Calls of what is on production, then whatever the daemon does in that time."""
        world = self.world
        version = world.pointer()
        failures = _CALLS_A_STEP if version == world.v2 else 0
        world.calls(version, _CALLS_A_STEP, failures, since=world.clock.now() + SECOND, every=2 * SECOND)
        world.clock.move(STEP)
        self.steps += 1
        self.on_step(self)
        if self.steps % _STEPS_A_LOOK == 0:
            self._round(world.look)
            self._round(lambda: diagnose.run(world.deps, world.own_clock.now()))
        self._round(world.act)

    def _round(self, work: Callable[[], object]) -> None:
        try:
            work()
        except StoreError:
            if not self.store_may_fail:
                raise

    def rest(self, span: timedelta) -> None:
        """Time in which nobody looks at the platform, and only what waits has its turn."""
        self.world.clock.move(span)
        self.on_step(self)
        self.world.act()

    def since(self) -> timedelta:
        return self.world.clock.now() - self.began_at

    def waiting(self) -> int:
        """Notices that were not delivered yet."""
        with self.world.store.read() as connection:
            return len(outbox.waiting(connection))


def tripped(story: Story) -> bool:
    """The bad version was found out."""
    return bool(story.world.incidents())


def over(story: Story) -> bool:
    """Nothing is left to be done for anybody but a human."""
    return ended(story) and not story.waiting()


def ended(story: Story) -> bool:
    """The same but for what Slack was not told yet."""
    found = story.world.incidents()
    if not found or any(i.state in MOVING for i in found):
        return False
    return all(i.recovery not in (Recovery.PENDING, Recovery.VERIFYING) for i in found)


def reverted(story: Story) -> bool:
    """The saga has come to its end, and everybody was told; the recovery is not waited for."""
    found = story.world.incidents()
    return bool(found) and not any(i.state in MOVING for i in found) and not story.waiting()


def sent_at(story: Story) -> datetime | None:
    """When our promotion was made, by the platform's log."""
    own = story.world.reverts()
    return datetime.fromisoformat(str(own[0]["createdAt"])) if own else None
