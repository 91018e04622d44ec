"""
What happens in the organisation: people promote good and bad versions, go back by themselves, insist; the provider has
bad hours; networks, processes and clocks fail, and rather when it hurts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from tests.simulation.traffic import Behaviour, Outage

if TYPE_CHECKING:
    from numpy.random import Generator

    from tests.simulation.clock import Calendar, DaemonClock
    from tests.simulation.faults import Weather
    from tests.simulation.platform import SimulatedPlatform
    from watchdog.core.model import Promotion

_DAY = timedelta(days=1)
_SEVERE_FAILING = 0.5


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A sort of version: its share among promotions, and how it does."""

    name: str
    share: float
    behaviour: Behaviour


KINDS = (
    Kind(name="harmless", share=0.5, behaviour=Behaviour()),
    Kind(name="failing all", share=0.12, behaviour=Behaviour(failing=1.0)),
    Kind(name="failing half", share=0.12, behaviour=Behaviour(failing=0.5)),
    Kind(name="failing a tenth", share=0.1, behaviour=Behaviour(failing=0.1)),
    Kind(name="slow x3", share=0.1, behaviour=Behaviour(slower=3.0)),
    Kind(name="dear x3", share=0.06, behaviour=Behaviour(dearer=3.0)),
)


@dataclass(frozen=True, kw_only=True)
class Release:
    """
    A new version that a person promoted.

    Attributes:
        quiet: nothing was planned to disturb what follows: no storm, no person, no death, no clock.
    """

    promotion: Promotion
    kind: Kind
    quiet: bool

    @property
    def severe(self) -> bool:
        return self.kind.behaviour.failing >= _SEVERE_FAILING


@dataclass
class People:
    """
    Plans the story into the calendar; everything comes from one source of luck.

    Attributes:
        every: mean time between two releases of a prompt. kinds: of what is released; their shares are 1 in all.
        releases: as they were made.
        trouble: share of the releases around which something else goes wrong, in [0, 1].
    """

    luck: Generator
    calendar: Calendar
    clock: DaemonClock
    platform: SimulatedPlatform
    weather: Weather
    every: timedelta
    until: datetime
    trouble: float
    kinds: tuple[Kind, ...] = KINDS
    releases: list[Release] = field(default_factory=list)

    def plan(self) -> None:
        for prompt_id in self.platform.prompts_:
            self._plan_release(prompt_id, self.calendar.now + 2 * _DAY)
        self._plan_outage(self.calendar.now + 2 * _DAY)

    def _after(self, mean: timedelta) -> timedelta:
        return timedelta(seconds=float(self.luck.exponential(mean.total_seconds())))

    def _plan_release(self, prompt_id: str, earliest: datetime) -> None:
        at = earliest + self._after(self.every)
        if at < self.until:
            self.calendar.at(at, lambda: self._release(prompt_id))

    def _plan_outage(self, earliest: datetime) -> None:
        at = earliest + self._after(20 * _DAY)
        if at < self.until:
            self.calendar.at(at, self._outage)

    def _release(self, prompt_id: str) -> None:
        kind = self.kinds[int(self.luck.choice(len(self.kinds), p=[k.share for k in self.kinds]))]
        version = self.platform.save(prompt_id, kind.behaviour)
        promotion = self.platform.human_promotes(prompt_id, version, "ana@example.com")
        quiet = float(self.luck.random()) >= self.trouble
        if not quiet:
            self._disturb(prompt_id, promotion)
        self.releases.append(Release(promotion=promotion, kind=kind, quiet=quiet))
        self._plan_release(prompt_id, self.calendar.now + timedelta(hours=8))

    def _disturb(self, prompt_id: str, promotion: Promotion) -> None:
        """One or two troubles, within the minutes in which a revert would be made."""
        for _ in range(1 + int(self.luck.integers(2))):
            trouble = int(self.luck.integers(7))
            begins = self.calendar.now + timedelta(seconds=float(self.luck.uniform(0, 300)))
            ends = begins + timedelta(minutes=float(self.luck.uniform(1, 20)))
            soon = self.calendar.now + timedelta(seconds=float(self.luck.uniform(1, 900)))
            match trouble:
                case 0:
                    self._storm("platform", float(self.luck.uniform(0.1, 0.7)), begins, ends)
                case 1:
                    self._storm("slack", float(self.luck.uniform(0.2, 1.0)), begins, ends + timedelta(hours=1))
                case 2:
                    self._storm("deadly", float(self.luck.uniform(0.02, 0.1)), begins, ends)
                case 3:
                    self.calendar.at(soon, lambda: self._another(prompt_id))
                case 4:
                    self.calendar.at(soon, lambda: self._goes_back(prompt_id, promotion))
                case 5:
                    self.calendar.at(soon, lambda: self._insists(prompt_id, promotion))
                case 6:
                    step = timedelta(seconds=float(self.luck.uniform(-3600, 3600)))
                    self.calendar.at(begins, partial(self._set_clock, step))

    def _storm(self, what: str, strength: float, begins: datetime, ends: datetime) -> None:
        self.calendar.at(begins, lambda: setattr(self.weather, what, strength))
        self.calendar.at(ends, lambda: setattr(self.weather, what, 0.0))

    def _another(self, prompt_id: str) -> None:
        """Somebody promotes a further version, which is harmless, at whatever moment."""
        version = self.platform.save(prompt_id, Behaviour())
        self.platform.human_promotes(prompt_id, version, "bob@example.com")

    def _goes_back(self, prompt_id: str, promotion: Promotion) -> None:
        if promotion.from_version_id is not None:
            self.platform.human_promotes(prompt_id, promotion.from_version_id, "bob@example.com")

    def _insists(self, prompt_id: str, promotion: Promotion) -> None:
        """Promotes the same version again, reverted or not."""
        self.platform.human_promotes(prompt_id, promotion.to_version_id, "ana@example.com")

    def _set_clock(self, step: timedelta) -> None:
        self.clock.ahead += step

    def _outage(self) -> None:
        now = self.calendar.now
        lasts = timedelta(minutes=float(self.luck.uniform(5, 45)))
        failing, slower = float(self.luck.uniform(0.3, 1.0)), float(self.luck.uniform(1.0, 4.0))
        self.platform.traffic.outages.append(Outage(since=now, until=now + lasts, failing=failing, slower=slower))
        self._plan_outage(now + lasts)
