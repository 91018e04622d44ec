"""
A prompt that falls silent: no call at all for a time in which the baseline would have brought many.

No call is no evidence against a version, so this never judges and never reverts; but missing data is no health either,
and nobody else may notice that the gateway sends its calls elsewhere. Most silences are harmless: nights, weekends,
batches that are done. People are told only where all of this holds:

1. it lasts 10 min, and five times as long as the baseline ever was silent;
2. the baseline was called at the same time of day, so much that no call has a chance of less than one in a million,
   with calls as clustered as the baseline's were;
3. where the baseline does not reach back to that time of day (a busy prompt's is short), the minutes before the silence
   stand in for it, and then it must last half an hour.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

from watchdog.core import phrasing, words
from watchdog.core.notice import Notice, Tone
from watchdog.core.windows import BLOCK, window_start

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from watchdog.core.watch import Watch

SHORTEST = timedelta(minutes=10)
SHORTEST_WITHOUT_DAY = timedelta(minutes=30)
# A weekend is four and a half of an office's nights.
_TIMES_THE_LONGEST = 5
_DAY = timedelta(days=1)
_LONGEST_BEFORE = timedelta(hours=1)
# How many nats of surprise: a chance of one in a million.
_UNLIKELY_NATS = math.log(1e6)
_STRETCH = timedelta(minutes=10)
# Clusters are learned from no fewer stretches than this.
_FEWEST_STRETCHES = 6
# Sizes of the distribution of calls in a stretch: what is assumed of a short baseline, and what is never exceeded.
_UNKNOWN_EVENNESS = 1.0
_MOST_EVEN = 30.0
_LEAST_EVEN = 0.05


@dataclass(frozen=True, kw_only=True)
class Rhythm:
    """
    How often the baseline was called, by the minute.

    Attributes:
        since, until: what it covers, whole minutes.
        per_minute: start of a minute -> calls in it; minutes without any are absent.
    """

    since: datetime
    until: datetime
    per_minute: Mapping[datetime, int]

    def calls(self, since: datetime, until: datetime) -> int:
        """In the minutes that begin in [since, until)."""
        n = max(0, -((window_start(since, BLOCK) - until) // BLOCK))
        start = window_start(since, BLOCK)
        return sum(self.per_minute.get(start + i * BLOCK, 0) for i in range(n) if start + i * BLOCK >= since)

    @cached_property
    def longest_silence(self) -> timedelta:
        """To the minute, its ends included; all of it where there was no call."""
        longest, before = timedelta(), self.since
        for start in sorted(self.per_minute):
            longest, before = max(longest, start - before), start + BLOCK
        return max(longest, self.until - before)

    @cached_property
    def evenness(self) -> float:
        """
        Size of the negative binomial distribution of the calls in a stretch of ten minutes, in [0.05, 30]: the larger,
        the more evenly they come. Where `m` are expected, there are none with the chance (1 + m / size) ** -size.

        Learned from neighbours, so that day and night are no cluster.
        """
        n = (self.until - self.since) // _STRETCH
        if n < _FEWEST_STRETCHES:
            return _UNKNOWN_EVENNESS
        counts = [self.calls(self.since + i * _STRETCH, self.since + (i + 1) * _STRETCH) for i in range(n)]
        # Half the mean squared step between neighbours is the variance but for a slow trend.
        variance = sum((after - before) ** 2 for before, after in pairwise(counts)) / (2 * (n - 1))
        mean = sum(counts) / n
        if mean == 0:
            return _LEAST_EVEN
        excess = variance - mean
        return _MOST_EVEN if excess <= 0 else min(_MOST_EVEN, max(_LEAST_EVEN, mean * mean / excess))


@dataclass(frozen=True, kw_only=True)
class Silent:
    """
    A silence that is worth telling.

    Attributes:
        expected: calls that were to be expected in it.
        nats: how surprising it is; the natural logarithm of one over the chance.
        longest: the baseline's own longest silence.
    """

    since: datetime
    until: datetime
    expected: float
    nats: float
    longest: timedelta


def is_long(rhythm: Rhythm, since: datetime, until: datetime) -> bool:
    """Whether a silence is longer than any that the baseline makes likely; the rest is a matter of how many calls."""
    return until - since >= max(SHORTEST, _TIMES_THE_LONGEST * rhythm.longest_silence)


def telling(rhythm: Rhythm, since: datetime, until: datetime, *, before: int | None) -> Silent | None:
    """
    Whether a silence is worth telling.

    Args:
        since: when the last call before it was recorded, or the promotion.
        until: everything that was recorded before this has been read.
        before: calls in the stretch of `length_before` right before it; None where there were none to count.
    """
    if not is_long(rhythm, since, until):
        return None
    length = until - since
    expected = _same_time_of_day(rhythm, since, until)
    # What has been fading out for a while is no sudden silence.
    recent = None if before is None else before * (length / length_before(since, until))
    if expected is None:
        if length < SHORTEST_WITHOUT_DAY or recent is None:
            return None
        expected = recent
    elif recent is not None:
        expected = min(expected, recent)
    # Stretches count one by one; that they hang together is what `is_long` is for.
    size = rhythm.evenness * (length / _STRETCH)
    nats = size * math.log1p(expected / size)
    if nats < _UNLIKELY_NATS:
        return None
    return Silent(since=since, until=until, expected=expected, nats=nats, longest=rhythm.longest_silence)


def length_before(since: datetime, until: datetime) -> timedelta:
    """How much of the time before a silence tells what was to be expected in it."""
    return min(until - since, _LONGEST_BEFORE)


def _same_time_of_day(rhythm: Rhythm, since: datetime, until: datetime) -> float | None:
    """Calls in the same minutes, as many whole days earlier as it takes; None where the baseline covers them not."""
    if until - since > _DAY:
        since = until - _DAY
    days = max(1, -((rhythm.until - until) // _DAY))
    back = days * _DAY
    if since - back < rhythm.since or until - back > rhythm.until:
        return None
    return float(rhythm.calls(since - back, until - back))


def silence_key(watch: Watch) -> str:
    """Notices that a watched prompt fell silent, and that it is heard again, have keys that begin so."""
    return f"{watch.id}:silence"


def fell_silent(watch: Watch, silent: Silent, at: datetime) -> Notice:
    """Told once for each silence."""
    length = words.duration(silent.until - silent.since)
    never = watch.first_call_at is None
    what = "has had no call since its promotion" if never else "has had no call"
    return Notice(
        key=f"{silence_key(watch)}:fell:{silent.since.isoformat()}",
        thread=watch.id,
        tone=Tone.WAITING,
        headline=f"{watch.prompt_slug}: no calls any more",
        step=f"{watch.prompt_slug} {what} for {length}, since {words.clock_time(silent.since)}, under no version. "
        f"About {silent.expected:,.0f} were to be expected by the baseline, whose longest silence was "
        f"{words.duration(silent.longest)}; that is luck in {words.odds(silent.nats)} cases. Nothing is judged without "
        "calls. Look whether the application still calls it, whether the gateway writes its logs, and whether "
        "`watch.environment` is still the right one. You are told when calls come again.",
        at=at,
        facts=phrasing.watch_facts(watch),
    )


def heard_again(watch: Watch, since: datetime, at: datetime) -> Notice:
    """
    Calls come again.

    Args:
        since: when the silence began.
    """
    return Notice(
        key=f"{silence_key(watch)}:heard:{since.isoformat()}",
        thread=watch.id,
        tone=Tone.GOOD,
        headline=f"{watch.prompt_slug}: calls come again",
        step=f"It was silent for {words.duration(at - since)}, since {words.clock_time(since)}. "
        f"{watch.candidate_label} is judged again.",
        at=at,
        facts=phrasing.watch_facts(watch),
    )
