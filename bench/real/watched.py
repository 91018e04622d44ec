"""One promotion through the engine that replays files, and what kept its rules from reverting."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from watchdog.config.packs import load_rules
from watchdog.config.settings import WatchSettings
from watchdog.core.judgement import ReadingState
from watchdog.core.policy import Revert, Suggest
from watchdog.core.rules import Action, Metric, RuleSet
from watchdog.core.windows import WINDOW
from watchdog.replay.gather import Pace, blocks_of, merged, windows_of
from watchdog.replay.run import judge_calls

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from watchdog.replay.cells import CallRow
    from watchdog.replay.run import Outcome

SETTINGS = WatchSettings()
WINDOWS = SETTINGS.length // WINDOW
PACK = load_rules(("default",))


def acting(pack: RuleSet, *names: str) -> RuleSet:
    """The pack with these rules reverting."""
    rules = tuple(replace(rule, action=Action.REVERT) if rule.name in names else rule for rule in pack.rules)
    return replace(pack, source=f"{pack.source}, {', '.join(names)} reverting", rules=rules)


BOTH = acting(PACK, "latency_distribution")


class Lever(Enum):
    """What the engine does about calls that are not exchangeable, and can be done without here."""

    TEMPERING = "tempering"  # without blocks; takes with it what the baseline's last calls say of the onset
    SEGMENTS = "segments"
    TOKENS = "input tokens"  # and with them the test of their mix
    ONSET = "onset guard"
    MIX = "mix test"
    UNFAMILIAR = "unfamiliar silent"


# These only lower a verdict, so that what would be without them is read off the same watch.
LOWERING = frozenset({Lever.ONSET, Lever.MIX, Lever.UNFAMILIAR})


class KeptBack(NamedTuple):
    """A trip of a rule that reverts, and what kept it from doing so."""

    rule: str
    metric: Metric
    calls: int
    levers: frozenset[Lever]


class Found(NamedTuple):
    """
    What came of one watch.

    Attributes:
        action: None for nothing.
        rules, metrics: that the action rests on.
        calls: of the candidate up to a revert or a question; 0 when neither came.
        unfamiliar: the end was INCONCLUSIVE since most calls were of kinds that the baseline hardly knows.
    """

    action: Action | None
    rules: tuple[str, ...]
    metrics: frozenset[Metric]
    calls: int
    unfamiliar: bool
    kept: tuple[KeptBack, ...]

    @property
    def reverted(self) -> bool:
        return self.action is Action.REVERT

    def without(self, levers: frozenset[Lever]) -> Found:
        """What would have come of it if these levers, which only lower a verdict, had not been there."""
        freed = [k for k in self.kept if k.levers <= levers and not (self.reverted and self.calls <= k.calls)]
        if not freed:
            return self
        first = min(freed, key=lambda k: k.calls)
        return self._replace(
            action=Action.REVERT, rules=(first.rule,), metrics=frozenset({first.metric}), calls=first.calls
        )


def watched(
    before: Sequence[CallRow],
    after: Sequence[CallRow],
    *,
    rules: RuleSet = PACK,
    without: frozenset[Lever] = frozenset(),
) -> Found:
    """One promotion through the engine."""
    seen_before, seen_after = _seen(before, without), _seen(after, without)
    blocks = blocks_of(seen_before, timed=False)
    outcome = judge_calls(
        rules,
        baseline=merged(blocks),
        blocks=() if Lever.TEMPERING in without else blocks,
        windows=windows_of(seen_after, Pace(every=1)),
        n_windows=max(WINDOWS, len(after)),
        min_baseline_calls=SETTINGS.min_baseline_calls,
    )
    decision = outcome.decision
    readings = decision.readings if isinstance(decision, Revert | Suggest) else ()
    silent = [r for r in outcome.judgement.readings if r.state is ReadingState.UNFAMILIAR]
    found = Found(
        action=outcome.action,
        rules=tuple(r.rule for r in readings),
        metrics=frozenset(r.metric for r in readings),
        calls=outcome.calls_to_verdict or 0 if readings else 0,
        unfamiliar=outcome.action is None and any(r.action is not Action.ALERT for r in silent),
        kept=tuple(_kept_back(outcome)),
    )
    return found.without(without)


def _kept_back(outcome: Outcome) -> Iterator[KeptBack]:
    rules = {seat.rule.name: seat.rule for seat in outcome.panel.seats}
    for reading in outcome.judgement.readings:
        if reading.rule not in outcome.trips or rules[reading.rule].action is not Action.REVERT:
            continue
        applies = {
            Lever.ONSET: reading.late is not None,
            Lever.MIX: reading.state is ReadingState.EXPLAINED,
            Lever.UNFAMILIAR: reading.state is ReadingState.UNFAMILIAR,
        }
        levers = frozenset(lever for lever, is_so in applies.items() if is_so)
        if levers:
            yield KeptBack(reading.rule, reading.metric, outcome.trips[reading.rule], levers)


def _seen(calls: Sequence[CallRow], without: frozenset[Lever]) -> Sequence[CallRow]:
    if Lever.SEGMENTS in without:
        calls = [call._replace(segment="") for call in calls]
    if Lever.TOKENS in without:
        calls = [call._replace(input_tokens=None) for call in calls]
    return calls
