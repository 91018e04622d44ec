"""Other prompts beside the one that a `World` is about, on the same provider."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from tests.builders import T0
from tests.world import FAILED, GOOD, World
from watchdog.core.windows import WINDOW

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from watchdog.embedded.recordings import RecordedCall

OUTAGE = replace(FAILED, error_code="PROVIDER_ERROR")


@dataclass
class Fleet:
    """
    Attributes:
        ids: prompt id by slug. versions: version id on production by slug.
    """

    world: World
    ids: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    def add(
        self,
        *slugs: str,
        provider: str = GOOD.provider,
        calls: int = 500,
        failures: int = 5,
        promoted_at: datetime = T0 - timedelta(days=2),
    ) -> None:
        """Prompts with a version on production and calls over the last 23 hours."""
        admin = self.world.platform.admin
        for slug in slugs:
            prompt = admin.create_prompt(slug, slug, at=T0 - timedelta(days=3))
            version = admin.save_version(prompt, system=slug, at=T0 - timedelta(days=3))
            admin.promote(prompt, version, actor_id="ana", at=promoted_at)
            self.ids[slug], self.versions[slug] = prompt, version
            every = timedelta(hours=23) / calls
            self.calls(
                slug, calls, failures, since=T0 - timedelta(hours=23), every=every, provider=provider, spread=True
            )

    def calls(
        self,
        slug: str,
        n: int,
        failures: int,
        *,
        since: datetime,
        every: timedelta,
        provider: str = GOOD.provider,
        spread: bool = False,
        slower: float = 1.0,
    ) -> None:
        """n calls of one prompt; the failing ones first, or evenly among the others."""
        failing = {i * n // failures for i in range(failures)} if spread and failures else set(range(failures))
        good, bad = self._recorded(GOOD, provider, slower), self._recorded(OUTAGE, provider, slower)
        self.world.platform.admin.import_executions(
            self.ids[slug],
            self.versions[slug],
            [(since + i * every, bad if i in failing else good) for i in range(n)],
        )

    def traffic(
        self, version: str, windows: int, *, failing: float = 0.0, theirs: float | Mapping[str, float] = 0.0
    ) -> None:
        """
        One call a window of the world's prompt and of each peer, the clock moving along, looked at every three windows.

        Args:
            failing: share of our calls that fail. theirs: of the peers', of all or by slug.
        """
        start = self.world.clock.now() + timedelta(seconds=1)
        self.world.calls(version, windows, round(windows * failing), since=start, spread=True)
        for slug in self.ids:
            share = theirs if isinstance(theirs, float) else theirs.get(slug, 0.0)
            self.calls(slug, windows, round(windows * share), since=start, every=WINDOW, spread=True)
        while self.world.clock.now() < start + windows * WINDOW + timedelta(seconds=30):
            self.world.clock.move(3 * WINDOW)
            self.world.tick()

    def _recorded(self, call: RecordedCall, provider: str, slower: float) -> RecordedCall:
        return replace(call, provider=provider, latency_ms=(call.latency_ms or 0.0) * slower)


@contextmanager
def fleet_of(folder: Path, *slugs: str) -> Iterator[Fleet]:
    """A world with these prompts beside its own, all of which were looked at."""
    with World(folder) as world:
        found = Fleet(world)
        found.add(*slugs)
        world.tick()
        yield found
