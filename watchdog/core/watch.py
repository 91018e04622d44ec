"""The watch over one promotion, and the rules by which its state changes."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from watchdog.core.calibration import Calibration
    from watchdog.core.ledger import Entry
    from watchdog.core.model import Promotion
    from watchdog.core.rules import Action
    from watchdog.core.windows import Summary

YOUNG = timedelta(minutes=5)


class WatchState(Enum):
    """
    Arrows: FREEZING -> WATCHING -> TRIPPED | PASSED | UNDECIDED, and from the first two SUPERSEDED; back from TRIPPED
    to WATCHING when its incident was cancelled.
    """

    FREEZING = "freezing"  # the control's calls are being read
    WATCHING = "watching"
    TRIPPED = "tripped"  # an incident took over
    PASSED = "passed"  # the watch ended, and nothing got worse
    UNDECIDED = "undecided"  # the watch ended, and there was too little to say so
    SUPERSEDED = "superseded"  # somebody promoted another version


OPEN_STATES = frozenset({WatchState.FREEZING, WatchState.WATCHING})


class Verdict(Enum):
    """What the numbers say. Only REGRESSED ever leads to a revert."""

    OK = "ok"
    REGRESSED = "regressed"
    UPSTREAM = "upstream"  # it got worse, and so did prompts that nobody promoted
    INCONCLUSIVE = "inconclusive"
    NO_DATA = "no_data"


@dataclass(frozen=True, kw_only=True)
class Watch:
    """
    Attributes:
        control_version_id: None when only absolute rules can judge.
        control_until: the control's calls count up to here.
        most: the most that may be done about this promotion; `why_not_more` says why it is less than a revert.
        opened_at: when the watchdog saw the promotion.
        first_call_at: start of the first call that carried the candidate; the watch's clock starts here.
        lag: how long a window stays open for late calls.
        judged_until: windows that end at or before this were judged.
        verdict, reason: as of the last judged window; the reason is a sentence with numbers.
        candidate: everything judged so far, merged.
        rules_digest: the rules that judge it: those with which it began, or a later configuration's, from then on.
        n_windows, min_baseline_calls: the terms with which these rules began: windows to the end of the watch, and how
            many calls of the control are too few to compare with.
        alpha_left: in (0, 1], share of the false-alarm budget that earlier rules of this watch have not spent.
        calibration: what days on which nothing changed ask of each rule, by name; empty where none were seen.
        trouble: why the watch holds (platform failing, rows refused); empty when nothing is wrong.
        trouble_since: when that began; None when nothing is wrong.
        candidate_label, control_label: the versions as people name them; the ids where the platform did not say.
        provider: of the control's calls; empty where they do not say, and in watches of an earlier version.
        peers_note: beside which prompts it is judged, or why beside none; empty until that is known.
        candidate_model, control_model: the parameter `model` of the versions; empty where it is not known.
        ledger: what may mislead the comparison, and what was done about it, as of the last look.
        week_read_to: the control's calls of the same hours a week ago were read as far as this; None before the first.
        week_note: why there are none to compare with; empty where there are, or may be.
    """

    id: str
    prompt_id: str
    prompt_slug: str
    promotion: Promotion
    control_version_id: str | None
    control_until: datetime
    most: Action
    why_not_more: str
    state: WatchState
    opened_at: datetime
    first_call_at: datetime | None
    lag: timedelta
    judged_until: datetime | None
    verdict: Verdict
    reason: str
    candidate: Summary
    rules_digest: str
    n_windows: int
    min_baseline_calls: int
    trouble: str
    trouble_since: datetime | None
    candidate_label: str
    control_label: str
    ended_at: datetime | None
    alpha_left: float = 1.0
    calibration: Mapping[str, Calibration] = field(default_factory=dict)
    provider: str = ""
    peers_note: str = ""
    candidate_model: str = ""
    control_model: str = ""
    ledger: tuple[Entry, ...] = ()
    week_read_to: datetime | None = None
    week_note: str = ""

    @property
    def candidate_version_id(self) -> str:
        return self.promotion.to_version_id

    def is_young(self, now: datetime) -> bool:
        """In the first minutes a watch is looked at more often: severe breakage shows at once."""
        return self.first_call_at is None or now - self.first_call_at < YOUNG + self.lag

    def ends_at(self, length: timedelta) -> datetime:
        """When the watch is over: `length` after the candidate's first call, or after the promotion if none came."""
        return (self.first_call_at or self.promotion.at) + length
