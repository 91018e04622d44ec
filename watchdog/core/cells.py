"""
Calls of one kind: of one segment, with about as many input tokens. Like is compared with like.

The token grid is fixed (`stats.reference`), so that the kind of a call is known when it is read, before any
baseline is. Output tokens are no part of it: they are what the prompt does, not what it was asked.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from watchdog.core.model import ErrorKind
from watchdog.stats.histogram import LogHistogram

if TYPE_CHECKING:
    from collections.abc import Mapping

_K = TypeVar("_K")


class CellKey(NamedTuple):
    """
    Attributes:
        segment: the call's label; empty for none.
        tokens: `stats.reference.token_step` of the input; None when unknown.
    """

    segment: str
    tokens: int | None


UNLABELLED = CellKey("", None)
# Where the segments go that a baseline does not know.
OTHER_SEGMENT = "(other)"


@dataclass(frozen=True, kw_only=True)
class Cell:
    """
    Calls of one kind; mergeable in any order.

    Attributes:
        calls, failures: counts; failures <= calls.
        errors: failures by kind; sums to `failures`.
        latency_ms, cost_usd: of every call for which it is known.
    """

    calls: int = 0
    failures: int = 0
    errors: Mapping[ErrorKind, int] = field(default_factory=dict)
    latency_ms: LogHistogram = field(default_factory=LogHistogram)
    cost_usd: LogHistogram = field(default_factory=LogHistogram)

    def merge(self, other: Cell) -> Cell:
        """Both together."""
        return Cell(
            calls=self.calls + other.calls,
            failures=self.failures + other.failures,
            errors=added(self.errors, other.errors),
            latency_ms=self.latency_ms.merge(other.latency_ms),
            cost_usd=self.cost_usd.merge(other.cost_usd),
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values; what is zero or empty is left out."""
        out: dict[str, Any] = {name: value for name in ("calls", "failures") if (value := getattr(self, name))}
        if self.errors:
            out["errors"] = {kind.value: n for kind, n in sorted(self.errors.items(), key=lambda e: e[0].value) if n}
        for name in ("latency_ms", "cost_usd"):
            histogram: LogHistogram = getattr(self, name)
            if histogram.total:
                out[name] = [histogram.zeros, *([b, histogram.counts[b]] for b in sorted(histogram.counts))]
        return out

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Cell:
        """The inverse of `to_json`."""
        return cls(
            calls=int(value.get("calls", 0)),
            failures=int(value.get("failures", 0)),
            errors={ErrorKind(kind): int(n) for kind, n in value.get("errors", {}).items()},
            latency_ms=_histogram(value.get("latency_ms")),
            cost_usd=_histogram(value.get("cost_usd")),
        )


def added(one: Mapping[_K, int], other: Mapping[_K, int]) -> dict[_K, int]:
    """The counts of both."""
    total = dict(one)
    for key, n in other.items():
        total[key] = total.get(key, 0) + n
    return total


def merged_cells(one: Mapping[CellKey, Cell], other: Mapping[CellKey, Cell]) -> dict[CellKey, Cell]:
    """The cells of both."""
    total = dict(one)
    for key, cell in other.items():
        standing = total.get(key)
        total[key] = cell if standing is None else standing.merge(cell)
    return total


def merged(cells: Mapping[CellKey, Cell]) -> Cell:
    """All of them as one."""
    total = Cell()
    for cell in cells.values():
        total = total.merge(cell)
    return total


def _histogram(value: list[Any] | None) -> LogHistogram:
    if not value:
        return LogHistogram()
    return LogHistogram({int(b): int(n) for b, n in value[1:]}, int(value[0]))
