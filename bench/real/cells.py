"""How the cells of the tables are written."""

from __future__ import annotations

import re
import statistics
from collections import Counter
from typing import TYPE_CHECKING

from watchdog.core.rules import Action

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bench.real.watched import Found
    from watchdog.core.rules import Metric
    from watchdog.replay.cells import CallRow


def counted(hits: int, runs: int) -> str:
    """Counts and per cent; "-" of no runs."""
    return f"{hits}/{runs} ({100.0 * hits / runs:.1f} %)" if runs else "-"


def by_rule(found: Iterable[Found]) -> str:
    """How many rest on each rule, the commonest first."""
    counts = Counter(rule for one in found for rule in one.rules)
    return ", ".join(f"{rule} {n}" for rule, n in counts.most_common()) or "-"


def verdict(found: Found, joint: str = ", ") -> str:
    """Calls to the revert and its rules; without the rules where nothing joins them."""
    match found.action:
        case Action.REVERT:
            return f"{found.calls}{joint}{joint and joint.join(found.rules)}"
        case Action.COUNTDOWN:
            return f"counts down, {found.calls}"
        case Action.SUGGEST:
            return f"asks, {found.calls}"
        case Action.ALERT:
            return "alerts"
        case None:
            return "unfamiliar" if found.unfamiliar else "-"


def seen(found: Sequence[Found], metric: Metric) -> str:
    """Reverted by a rule of that metric, and the mean calls of these."""
    hits = [f.calls for f in found if f.reverted and metric in f.metrics]
    return f"{len(hits)}/{len(found)}" + (f" ({statistics.mean(hits):.0f})" if hits else "")


def success(before: Sequence[CallRow], after: Sequence[CallRow]) -> str:
    """Share of successes on either side."""
    return "->".join(f"{sum(c.ok for c in calls) / len(calls):.2f}" for calls in (before, after))


def slowness(before: Sequence[CallRow], after: Sequence[CallRow]) -> str:
    """95th percentile of latency on either side, in seconds; "-" where one of them has none."""
    sides = [_p95_s(calls) for calls in (before, after)]
    return "-" if "-" in sides else "->".join(sides)


def _p95_s(calls: Sequence[CallRow]) -> str:
    known = sorted(c.latency_ms for c in calls if c.latency_ms)
    if not known:
        return "-"
    p95_s = known[int(0.95 * len(known))] / 1000.0
    return f"{p95_s:.0f}" if p95_s >= 10.0 else f"{p95_s:.1f}"


def short(name: str) -> str:
    """Without dates of models, makers, and what the other names of the source also begin with."""
    bare = name.removeprefix("x-ai_").replace("_no_reasoning", "").replace("_grok_", " ")
    return re.sub(r"-\d{4}-\d\d-\d\d|(?<= )2025|(?<=^)2025(?=\d{4}-)|(?<=-\d{4})\d\d$", "", bare)
