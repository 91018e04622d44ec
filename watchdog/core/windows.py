"""
Calls become mergeable window summaries, by the time at which they started.

The window is the unit of judging: one step of every test per sealed window, so that a verdict depends on the calls and
never on when the daemon happened to look.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from watchdog.core.cells import OTHER_SEGMENT, UNLABELLED, Cell, CellKey, added, merged, merged_cells
from watchdog.core.model import Call, ErrorKind, Feedback, FeedbackKind
from watchdog.stats.histogram import LogHistogram
from watchdog.stats.reference import token_step

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

WINDOW = timedelta(seconds=10)
# What is learned of a baseline, and of quiet days, is learned by the minute.
BLOCK = timedelta(minutes=1)
WINDOWS_IN_A_BLOCK = BLOCK // WINDOW
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def window_start(at: datetime, width: timedelta = WINDOW) -> datetime:
    """Start of the window [start, start + width) that holds `at`; windows are aligned to the epoch."""
    return _EPOCH + width * ((at - _EPOCH) // width)


@dataclass(frozen=True, kw_only=True)
class Summary:
    """
    What is known of a set of calls; mergeable in any order.

    Attributes:
        calls, failures: counts; failures <= calls.
        errors: failures by kind; sums to `failures`.
        latency_ms: of every call whose latency is known.
        cost_usd: of every call whose cost is known.
        kinds: the same calls by kind; empty when none of them has a segment or input tokens (see `cells`).
        models: calls by the model that answered; calls without one are not in it.
        input_tokens, output_tokens, cached_tokens: sums over calls that carry them.
        late: how many of the calls were recorded after their window had been sealed.
        feedback_good, feedback_bad: thumbs up; thumbs down and support tickets.
    """

    calls: int = 0
    failures: int = 0
    errors: Mapping[ErrorKind, int] = field(default_factory=dict)
    latency_ms: LogHistogram = field(default_factory=LogHistogram)
    cost_usd: LogHistogram = field(default_factory=LogHistogram)
    kinds: Mapping[CellKey, Cell] = field(default_factory=dict)
    models: Mapping[str, int] = field(default_factory=dict)
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    late: int = 0
    feedback_good: int = 0
    feedback_bad: int = 0

    @property
    def success_rate(self) -> float | None:
        """Fraction in [0, 1]; None without calls."""
        return None if self.calls == 0 else 1.0 - self.failures / self.calls

    @property
    def cells(self) -> Mapping[CellKey, Cell]:
        """The calls by kind; one kind for all where nothing tells them apart, none without calls."""
        if self.kinds or not self.calls:
            return self.kinds
        return {UNLABELLED: self._whole()}

    def merge(self, other: Summary) -> Summary:
        """Both together."""
        return Summary(
            calls=self.calls + other.calls,
            failures=self.failures + other.failures,
            errors=added(self.errors, other.errors),
            latency_ms=self.latency_ms.merge(other.latency_ms),
            cost_usd=self.cost_usd.merge(other.cost_usd),
            kinds=merged_cells(self.cells, other.cells) if self.kinds or other.kinds else {},
            models=added(self.models, other.models),
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            late=self.late + other.late,
            feedback_good=self.feedback_good + other.feedback_good,
            feedback_bad=self.feedback_bad + other.feedback_bad,
        )

    def folded(self, segments: Collection[str]) -> Summary:
        """The same calls, those of any other segment than these as of one: `OTHER_SEGMENT`."""
        if all(key.segment in segments for key in self.cells):
            return self
        kinds: dict[CellKey, Cell] = {}
        for key, cell in self.cells.items():
            kept = key if key.segment in segments else CellKey(OTHER_SEGMENT, key.tokens)
            kinds = merged_cells(kinds, {kept: cell})
        return replace(self, kinds=kinds)

    def to_json(self) -> dict[str, Any]:
        """Plain values; what is zero or empty is left out, and what the kinds add up to is not said twice."""
        out: dict[str, Any] = {name: value for name in _COUNTS if (value := getattr(self, name))}
        if self.models:
            out["models"] = dict(sorted(self.models.items()))
        if self.kinds:
            known = sorted(self.kinds.items(), key=lambda e: (e[0].segment, -1 if e[0].tokens is None else e[0].tokens))
            out["kinds"] = [[key.segment, key.tokens, cell.to_json()] for key, cell in known]
        else:
            out |= self._whole().to_json()
        return out

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Summary:
        """The inverse of `to_json`."""
        kinds = {CellKey(segment, tokens): Cell.from_json(cell) for segment, tokens, cell in value.get("kinds", ())}
        whole = merged(kinds) if kinds else Cell.from_json(value)
        return cls(
            calls=whole.calls,
            failures=whole.failures,
            errors=whole.errors,
            latency_ms=whole.latency_ms,
            cost_usd=whole.cost_usd,
            kinds=kinds,
            models={str(model): int(n) for model, n in value.get("models", {}).items()},
            **{name: int(value[name]) for name in _COUNTS if name in value},
        )

    def _whole(self) -> Cell:
        return Cell(
            calls=self.calls,
            failures=self.failures,
            errors=self.errors,
            latency_ms=self.latency_ms,
            cost_usd=self.cost_usd,
        )


_COUNTS = ("input_tokens", "output_tokens", "cached_tokens", "late", "feedback_good", "feedback_bad")


def summarise(calls: Iterable[Call], *, late: bool = False) -> Summary:
    """The summary of some calls; `late` marks all of them as late."""
    n = tokens_in = tokens_out = tokens_cached = 0
    models: dict[str, int] = {}
    by_kind: dict[CellKey, list[Call]] = {}
    for call in calls:
        n += 1
        step = None if call.input_tokens is None else token_step(call.input_tokens)
        by_kind.setdefault(CellKey(call.segment, step), []).append(call)
        if call.model:
            models[call.model] = models.get(call.model, 0) + 1
        tokens_in += call.input_tokens or 0
        tokens_out += call.output_tokens or 0
        tokens_cached += call.cached_tokens or 0
    cells = {key: _cell(members) for key, members in by_kind.items()}
    whole = merged(cells)
    return Summary(
        calls=n,
        failures=whole.failures,
        errors=whole.errors,
        latency_ms=whole.latency_ms,
        cost_usd=whole.cost_usd,
        kinds={} if cells.keys() <= {UNLABELLED} else cells,
        models=models,
        input_tokens=tokens_in,
        output_tokens=tokens_out,
        cached_tokens=tokens_cached,
        late=n if late else 0,
    )


def _cell(calls: Iterable[Call]) -> Cell:
    n = failures = 0
    errors: dict[ErrorKind, int] = {}
    latency: list[float] = []
    cost: list[float] = []
    for call in calls:
        n += 1
        if not call.ok:
            failures += 1
            kind = call.error_kind or ErrorKind.OTHER
            errors[kind] = errors.get(kind, 0) + 1
        if call.latency_ms is not None:
            latency.append(call.latency_ms)
        if call.cost_usd is not None:
            cost.append(call.cost_usd)
    return Cell(
        calls=n,
        failures=failures,
        errors=errors,
        latency_ms=LogHistogram.of(latency),
        cost_usd=LogHistogram.of(cost),
    )


def summarise_feedback(items: Iterable[Feedback]) -> Summary:
    """The summary of some product feedback; it has no calls of its own."""
    good = bad = 0
    for item in items:
        if item.kind is FeedbackKind.THUMBS_UP:
            good += 1
        else:
            bad += 1
    return Summary(feedback_good=good, feedback_bad=bad)


@dataclass(frozen=True, kw_only=True)
class Slot:
    """Where a call is to be counted: the window's start, and whether the call's own window had been sealed."""

    start: datetime
    late: bool


def slot_for(started_at: datetime, sealed_until: datetime, width: timedelta = WINDOW) -> Slot:
    """
    A call that comes after its window was sealed is counted in the first open one, as late: late data is reported
    and judged, never dropped, and a sealed window never changes.

    Args:
        sealed_until: every window that ends at or before this instant is sealed.
    """
    start = window_start(started_at, width)
    if start + width > sealed_until:
        return Slot(start=start, late=False)
    return Slot(start=window_start(sealed_until + width - timedelta(microseconds=1), width), late=True)


def watermark(now: datetime, lag: timedelta, width: timedelta = WINDOW) -> datetime:
    """
    Windows that end at or before this are sealed: `now` less the lag, down to a window's edge.

    Counting calls as they complete would let fast failures arrive before slow successes; waiting for the slowest
    usual call removes that bias.
    """
    return window_start(now - lag, width)


def lag_for(baseline: Summary, *, floor: timedelta, ceiling: timedelta) -> timedelta:
    """How long to wait for the slowest usual call: the baseline's p99.9 latency plus the floor, at most `ceiling`."""
    slowest_ms = baseline.latency_ms.quantile(0.999) or 0.0
    return min(ceiling, floor + timedelta(milliseconds=slowest_ms))
