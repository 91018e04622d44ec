"""
Which other prompts a candidate is compared beside: same provider, same model first, nobody promoted them, enough calls.

A pointer flip has no concurrent control arm: before and after differ by the version and by the time. Peers saw the same
provider at the same time, so what they suffer too is not the version's doing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from watchdog.core import words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from watchdog.core.rules import RuleSet
    from watchdog.core.windows import Summary
    from watchdog.stats.histogram import FloatArray

# The peers together should make so many times the candidate's calls, and be several: one may have trouble of its own.
AIM_TIMES = 3.0
AIM_PROMPTS = 3
MOST_PROMPTS = 8
# A prompt that makes a hundredth of the candidate's calls says nothing while it matters.
_LEAST_TIMES = 0.01
# A peer with fewer baseline calls says little about what is usual for it.
FEWEST_PEER_CALLS = 50
# All calls of a peer are read: a busier one is taken only where there are no others, or the candidate is as busy.
_BUSY_PER_HOUR = 200_000.0
# Without peers a rule has to see half as much again as its margin, since time may have done a part of it.
WITHOUT_PEERS_MARGIN = 1.5


@dataclass(frozen=True, kw_only=True)
class Sample:
    """
    What a prompt's production calls just before the promotion looked like.

    Attributes:
        provider, model: of most of its calls; empty when the platform does not say.
        calls_per_hour: >= 0.
    """

    prompt_id: str
    slug: str
    version_id: str
    provider: str
    model: str
    calls_per_hour: float


@dataclass(frozen=True, kw_only=True)
class Choice:
    """
    Attributes:
        peers: none where there is nobody to compare with.
        note: one sentence for people: with whom, or why with nobody.
    """

    peers: tuple[Sample, ...]
    note: str


@dataclass(frozen=True, kw_only=True)
class Peer:
    """
    A prompt beside which a candidate is judged.

    Attributes:
        feed: owner of the intake that reads its calls since the promotion.
        baseline: its calls while the control was on production; frozen.
        left_at: windows from here on do not count; None while it is in.
        why_left: one phrase; empty while it is in.
    """

    prompt_id: str
    slug: str
    version_id: str
    provider: str
    model: str
    calls_per_hour: float
    feed: str
    baseline: Summary
    joined_at: datetime
    left_at: datetime | None = None
    why_left: str = ""

    def counts_at(self, start: datetime) -> bool:
        """Whether a window that starts then counts."""
        return self.left_at is None or start < self.left_at


def choose(candidate: Sample, others: Sequence[Sample], unfit: Mapping[str, str]) -> Choice:
    """
    The peers of a candidate.

    Args:
        others: prompts whose calls could be looked at, the candidate not among them.
        unfit: prompt id -> why it cannot be one, such as `was promoted meanwhile`.
    """
    where = candidate.provider or candidate.model
    if not where:
        return Choice(peers=(), note="no peers: the calls name neither a provider nor a model")
    alike = [other for other in others if _same_provider(candidate, other)]
    floor = _LEAST_TIMES * candidate.calls_per_hour
    fit = [other for other in alike if other.prompt_id not in unfit and other.calls_per_hour > floor]
    busy = max(_BUSY_PER_HOUR, AIM_TIMES * candidate.calls_per_hour)
    fit.sort(
        key=lambda other: (
            other.calls_per_hour > busy,
            other.model != candidate.model,
            -other.calls_per_hour,
            other.prompt_id,
        )
    )
    chosen: list[Sample] = []
    for other in fit[:MOST_PROMPTS]:
        if _enough(chosen, candidate):
            break
        chosen.append(other)
    if not chosen:
        return Choice(peers=(), note=f"no peers: {_why_none(where, alike, unfit)}")
    return Choice(peers=tuple(chosen), note=_with_whom(candidate, chosen))


def known(candidate: Sample, choice: Choice, usual_calls: Sequence[int]) -> Choice:
    """
    Those of the chosen of which enough is known.

    Args:
        usual_calls: how many of each one's calls before the promotion could be read.
    """
    peers = [peer for peer, calls in zip(choice.peers, usual_calls, strict=True) if calls >= FEWEST_PEER_CALLS]
    if len(peers) == len(choice.peers):
        return choice
    if peers:
        return Choice(peers=tuple(peers), note=_with_whom(candidate, peers))
    of = f"{words.count(len(choice.peers), 'other prompt')} on {candidate.provider or candidate.model}"
    why = f"of none of {of} could {FEWEST_PEER_CALLS} calls be read that say what is usual"
    return Choice(peers=(), note=f"no peers: {why}")


def weights(calls_per_hour: Sequence[float]) -> FloatArray:
    """
    How much each peer's calls count, shape (P,), in (0, 1]: none for more than all others together, however busy.
    """
    rates = np.asarray(calls_per_hour, dtype=np.float64)
    if rates.size < 2:
        return np.ones(rates.size)
    others = rates.sum() - rates
    counted: FloatArray = np.minimum(1.0, np.maximum(others, 1e-9) / np.maximum(rates, 1e-9))
    return counted


def widened(rules: RuleSet) -> RuleSet:
    """The rules of a watch without peers: each margin half as wide again. Limits are what they are."""
    wide = tuple(
        replace(
            rule,
            margin_abs=WITHOUT_PEERS_MARGIN * rule.margin_abs,
            margin_rel=WITHOUT_PEERS_MARGIN * rule.margin_rel,
        )
        for rule in rules.rules
    )
    return replace(rules, rules=wide)


def _with_whom(candidate: Sample, peers: Sequence[Sample]) -> str:
    total = sum(peer.calls_per_hour for peer in peers)
    times = f", {total / candidate.calls_per_hour:.1f} times its calls" if candidate.calls_per_hour else ""
    names = ", ".join(peer.slug for peer in peers)
    where = candidate.provider or candidate.model
    return f"beside {words.count(len(peers), 'peer')} on {where} ({names}{times})"


def _same_provider(candidate: Sample, other: Sample) -> bool:
    if candidate.provider or other.provider:
        return candidate.provider.casefold() == other.provider.casefold()
    return candidate.model == other.model


def _enough(chosen: Sequence[Sample], candidate: Sample) -> bool:
    if len(chosen) < AIM_PROMPTS:
        return False
    rates = [peer.calls_per_hour for peer in chosen]
    return sum(rates) >= AIM_TIMES * candidate.calls_per_hour and max(rates) <= sum(rates) / 2.0


def _why_none(where: str, alike: Sequence[Sample], unfit: Mapping[str, str]) -> str:
    if not alike:
        return f"no other prompt on {where} has calls"
    reasons = sorted({unfit[other.prompt_id] for other in alike if other.prompt_id in unfit})
    if reasons:
        return f"of {words.count(len(alike), 'other prompt')} on {where} none will do: {', '.join(reasons)}"
    return f"{words.count(len(alike), 'other prompt')} on {where} make too few calls"
