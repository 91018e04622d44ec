"""
A window of the execution log rolled up.

PromptHelm computes percentiles with a t-digest; here they are exact, by linear interpolation between ranks.
"""

from __future__ import annotations

import statistics
from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Row


def roll_up(rows: Sequence[Row[Any]], labels: Mapping[str, str]) -> dict[str, Any]:
    """
    Args:
        rows: of `tables.executions`, in any order.
        labels: semantic version by version id.

    Returns: the wire's numbers. A figure for which there is nothing to count is null, never zero.
    """
    by_version: dict[str | None, list[Row[Any]]] = {}
    for row in rows:
        by_version.setdefault(row.version_id, []).append(row)
    versions = [
        {"versionId": version_id, "version": labels.get(version_id or ""), **_figures(part)}
        for version_id, part in sorted(by_version.items(), key=lambda pair: -len(pair[1]))
    ]
    errors = Counter(row.error_code for row in rows if not row.ok)
    return {**_figures(rows), "byVersion": versions, "errorCodes": dict(errors.most_common())}


def percentiles(values: Sequence[float]) -> dict[str, float | None]:
    """p50, p95 and p99; null where there is no value."""
    if not values:
        return {"p50": None, "p95": None, "p99": None}
    if len(values) == 1:
        return dict.fromkeys(("p50", "p95", "p99"), values[0])
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return {"p50": cuts[49], "p95": cuts[94], "p99": cuts[98]}


def _figures(rows: Sequence[Row[Any]]) -> dict[str, Any]:
    successes = sum(row.ok for row in rows)
    costs = [row.cost_usd for row in rows if row.cost_usd is not None]
    return {
        "volume": len(rows),
        "successRate": successes / len(rows) if rows else None,
        "latencyMs": percentiles([row.latency_ms for row in rows if row.latency_ms is not None]),
        "cost": {
            "total": sum(costs) if costs else None,
            "average": sum(costs) / len(costs) if costs else None,
        },
        "inputTokens": _total(row.input_tokens for row in rows),
        "outputTokens": _total(row.output_tokens for row in rows),
        "cachedTokens": _total(row.cached_tokens for row in rows),
    }


def _total(counts: Any) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
