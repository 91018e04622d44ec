"""
Killed in every gap: after each commit, each promotion and each message, before and after it took effect.

No production code knows of this: the two ports that a rollback touches, and the messenger, are wrapped in a counter
that kills the process - as far as anything in memory goes - at the n-th thing it does. The same story is run for
every n.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from tests.builders import MINUTE
from tests.world import World
from watchdog.core.incident import Recovery
from watchdog.core.rollback import SagaState

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

    from watchdog.jobs.deps import Deps


class Crash(BaseException):
    """The process is gone; nothing may catch this."""


@dataclass
class Fate:
    """Counts what is done, and ends it at the n-th."""

    at: int
    done: int = 0

    def step(self) -> None:
        self.done += 1
        if self.done == self.at:
            raise Crash


class MortalStore:
    """Dies before and after each commit."""

    def __init__(self, store: Any, fate: Fate) -> None:
        self._store, self._fate = store, fate

    @contextmanager
    def write(self, **given: Any) -> Iterator[Any]:
        with self._store.write(**given) as connection:
            yield connection
            self._fate.step()  # everything is written and nothing is committed
        self._fate.step()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class MortalPlatform:
    """Dies before and after each promotion."""

    def __init__(self, platform: Any, fate: Fate) -> None:
        self._platform, self._fate = platform, fate

    def promote(self, *args: Any, **given: Any) -> None:
        self._fate.step()
        self._platform.promote(*args, **given)
        self._fate.step()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._platform, name)


class MortalNotifier:
    """Dies before and after each message."""

    def __init__(self, notifier: Any, fate: Fate) -> None:
        self._notifier, self._fate = notifier, fate

    def deliver(self, *args: Any, **given: Any) -> Any:
        self._fate.step()
        posted = self._notifier.deliver(*args, **given)
        self._fate.step()
        return posted

    def __getattr__(self, name: str) -> Any:
        return getattr(self._notifier, name)


def mortal(fate: Fate) -> Any:
    def wrap(deps: Deps) -> Deps:
        return replace(
            deps,
            store=MortalStore(deps.store, fate),  # type: ignore[arg-type]
            platform=MortalPlatform(deps.platform, fate),  # type: ignore[arg-type]
            notifier=MortalNotifier(deps.notifier, fate),
        )

    return wrap


def killed_once(world: World, at: int) -> bool:
    """
    The story of a harmful promotion, with one death in it; False when the story was over before.
    """
    fate = Fate(at)
    world.tick()
    world.promote(world.v2)
    world.calls(world.v2, 12, failures=12)
    world.clock.move(3 * MINUTE)
    world.restart(mortal(fate))
    died = False
    try:
        world.tick()  # from the promotion to the last message, all in one
    except Crash:
        died = True
    world.restart()
    for _ in range(2):
        world.clock.move(MINUTE)
        world.tick()
    return died


@pytest.mark.crash
def test_killed_in_any_gap_there_is_one_revert_one_audit_entry_and_one_thread(tmp_path: Path) -> None:
    """Asserted from the platform's own log and from Slack's, not from ours."""
    deaths = 0
    for at in range(1, 200):
        folder = tmp_path / str(at)
        folder.mkdir()
        with World(folder, baseline_calls=60, baseline_failures=0) as world:
            died = killed_once(world, at)
            story = f"killed at step {at}"

            assert world.v1 == world.pointer(), story
            assert 1 == len(world.reverts()), story
            assert (SagaState.DONE, Recovery.VERIFYING) == (world.incident.state, world.incident.recovery), story
            assert 1 == len(world.roots()), story
            replies = [m.text for m in world.slack.replies(world.roots()[0].ts)]
            assert len(set(replies)) == len(replies) == 2, (story, replies)
            # The fourth failure decides, whatever was read or judged twice: no call is lost or counted again.
            assert (4, 4) == (world.watch.candidate.calls, world.watch.candidate.failures), story
        if not died:
            break
        deaths += 1
    assert deaths >= 30
