"""
An outage that strikes every prompt of a provider just after one of them was promoted, through the daemon's own panel:
is the promotion reverted, when is the outage announced, is a prompt that is truly bad found all the same, and what does
asking the peers cost where there is no outage?
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from bench.detection.report import Share, Table, Target
from bench.detection.under_outage import (
    AT_ONCE,
    HOUR_S,
    LASTS_S,
    LATER,
    LEAST_SPOILT,
    MOST_SPOILT,
    NO_PEERS,
    NOBODY_ASKED,
    PEERS,
    RATES,
    SLOWER,
    SOON,
    SUSCEPTIBILITY,
    WITH_PEERS,
    Asked,
    Outage,
    promotions,
)
from bench.detection.worlds import UNCHANGED, Change
from watchdog.core.rules import Action

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bench.detection.report import Cell

ANNOUNCED_WITHIN_S = 180.0
# After the outage the watch goes on for as long as it lasted.
_AFTER_S = 600.0
# What happens, whom the daemon asks, and the part of the promotions that each rate takes.
Case = tuple[Outage, Asked, tuple[int, int]]
CASES: tuple[Case, ...] = (
    (SOON, WITH_PEERS, (1, 5)),
    (AT_ONCE, WITH_PEERS, (6, 6)),
    (LATER, WITH_PEERS, (25, 25)),
    (SOON, NO_PEERS, (10, 10)),
    (AT_ONCE, NO_PEERS, (10, 10)),
)


def everybody(size: int, seed: int, told: Callable[[str], None], cases: Sequence[Case] = CASES) -> Table:
    """
    The outage alone.

    Args:
        size: promotions of the outage five minutes after, at the larger rate; the other rows take a part.
    """
    rows: list[dict[str, Cell | Share]] = []
    targets = []
    for outage, asked, parts in cases:
        for rate, part in zip(RATES, parts, strict=True):
            runs = max(2, size // part)
            told(f"outage {outage.name}, {asked.name}, {rate:g} calls/s, {runs} promotions")
            endings = promotions(runs, rate, asked, UNCHANGED, outage, outage.ends_s + _AFTER_S, seed)
            waited = sorted(e.upstream_s - outage.begins_s for e in endings if e.upstream_s is not None)
            reverts = sum(e.reverted for e in endings)
            rows.append(
                {
                    "outage": outage.name,
                    "judged": asked.name,
                    "calls/s": rate,
                    "reverted": Share(hits=reverts, runs=runs),
                    "asked": sum(e.action is Action.SUGGEST for e in endings),
                    "upstream": f"{len(waited)}/{runs}",
                    "within 180 s": f"{sum(s <= ANNOUNCED_WITHIN_S for s in waited)}/{runs}",
                    "s, median": _at(waited, 0.5),
                    "s, p95": _at(waited, 0.95),
                    "s, longest": _at(waited, 1.0),
                }
            )
            if asked is WITH_PEERS:
                where = f"outage {outage.name}, {rate:g} calls/s"
                slowest = _at(waited, 1.0) if len(waited) == runs else math.inf
                targets += [
                    Target(name=f"reverts in {runs}, {where}", measured=float(reverts), allowed=0.0),
                    Target(name=f"s to UPSTREAM, the longest, {where}", measured=slowest, allowed=ANNOUNCED_WITHIN_S),
                ]
    return Table(
        title="An outage that everybody has",
        about=(
            f"Default pack, {len(PEERS)} peers with {sum(p.times for p in PEERS):g} times the calls in all, none like "
            f"the other; for {LASTS_S / 60.0:g} min {100 * LEAST_SPOILT:g} to {100 * MOST_SPOILT:g} % of all calls "
            f"fail, each prompt's odds times a lognormal of sigma {SUSCEPTIBILITY:g}, and the others take {SLOWER:g} "
            "times as long; a calm day as the baseline; watched for 10 min longer. Seconds from its beginning to the "
            "verdict UPSTREAM, as the daemon sees calls: as they end, behind the watermark (p99.9 + 5 s), a look each "
            f"5 s in the first 5 min and each 30 s later; seed {seed}."
        ),
        rows=rows,
        targets=targets,
    )


CHANGES = {
    "failures +10 pp": Change(more_failures=0.10),
    "failures +30 pp": Change(more_failures=0.30),
    "latency x2": Change(latency_factor=2.0),
}


def bad_prompt(runs: int, seed: int, told: Callable[[str], None], changes: Mapping[str, Change] = CHANGES) -> Table:
    """A prompt that is bad from its first call, with and without an outage on top, with and without peers."""
    rows: list[dict[str, Cell | Share]] = []
    for name, change in changes.items():
        for rate in RATES:
            for asked, outage in (
                (WITH_PEERS, None),
                (NOBODY_ASKED, None),
                (NO_PEERS, None),
                (WITH_PEERS, SOON),
                (WITH_PEERS, AT_ONCE),
            ):
                when = "none" if outage is None else outage.name
                told(f"{name}, {rate:g} calls/s, {asked.name}, outage {when}, {runs} promotions")
                endings = promotions(runs, rate, asked, change, outage, HOUR_S, seed)
                found = [e for e in endings if e.reverted]
                rows.append(
                    {
                        "the prompt": name,
                        "calls/s": rate,
                        "judged": asked.name,
                        "outage": when,
                        "reverted": f"{len(found)}/{runs}",
                        "asked": sum(e.action is Action.SUGGEST for e in endings),
                        "calls, mean": _mean([float(e.calls) for e in found]),
                        "s, mean": _mean([e.ended_s for e in found]),
                        "s, median": _at(sorted(e.ended_s for e in found), 0.5),
                    }
                )
    return Table(
        title="A bad prompt, with and without an outage on top",
        about=(
            f"As above, watched for an hour, bad from the first call; {runs} promotions a row, the same calls in each "
            "row of a change and a rate but for the outage. Calls that were judged, and seconds from the promotion, "
            f"of those that were reverted; seed {seed}."
        ),
        rows=rows,
    )


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _at(ascending: Sequence[float], share: float) -> float | None:
    return ascending[min(len(ascending) - 1, int(share * len(ascending)))] if ascending else None
