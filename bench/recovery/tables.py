"""The confusion of the endings, and how much of the damage may be tolerated."""

from __future__ import annotations

import zlib
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bench.detection.report import Share, Table, Target
from bench.recovery.incidents import (
    BASELINE_CALLS,
    DAMAGES,
    FEW_CALLS,
    Ending,
    Kind,
    Origin,
    ending,
    origin,
    restored,
    which_may_trip,
)
from bench.recovery.oracle import FACTOR, calls_there_are, calls_to_tell, nearest_other
from watchdog.core.incident import Recovery
from watchdog.core.recovery import SETTLE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.detection.report import Cell
    from bench.recovery.incidents import Condition

RATES = (1.0, 0.2, 0.02)
ENDINGS = (Recovery.RECOVERED, Recovery.UPSTREAM_SUSPECTED, Recovery.UNVERIFIED)
# What the numbers should end in.
RIGHT = {
    Kind.WELL: Recovery.RECOVERED,
    Kind.AS_BAD: Recovery.UPSTREAM_SUSPECTED,
    Kind.HALF: Recovery.UPSTREAM_SUSPECTED,
    Kind.FEW: Recovery.UNVERIFIED,
    Kind.BLIP_5: Recovery.UPSTREAM_SUSPECTED,
    Kind.BLIP_15: Recovery.UPSTREAM_SUSPECTED,
}
BAD_ALL_THE_TIME = (Kind.AS_BAD, Kind.HALF)
WRONG_AT_MOST = 0.01
FALSE_RECOVERED_AT_MOST = 0.05
PARTS = (0.5, 0.4, 1.0 / 3.0, 0.25)
TOLERATED_OF = (
    ("failures +5 pp", 1.0),
    ("failures +30 pp", 0.2),
    ("all fail", 0.02),
    ("latency x2", 0.2),
    ("cost x1.5", 0.2),
)
# Incidents at a time: enough for arrays to pay, few enough to stay in memory.
_AT_ONCE = 100


@dataclass(frozen=True, kw_only=True)
class Cellful:
    """The endings of one damage, traffic and truth."""

    damage: str
    calls_per_s: float
    kind: Kind
    endings: Sequence[Ending]

    def count(self, recovery: Recovery) -> int:
        return Counter(e.finding.recovery for e in self.endings)[recovery]

    @property
    def needed(self) -> float:
        """Calls that suffice, by the criterion."""
        return FACTOR * calls_to_tell(*nearest_other(self.kind, DAMAGES[self.damage]))

    @property
    def suffices(self) -> bool:
        """For "too few calls" it is the other way round: that nothing is claimed is right by construction."""
        return self.kind is Kind.FEW or calls_there_are(self.kind, self.calls_per_s) >= self.needed

    @property
    def wrong(self) -> int:
        return len(self.endings) - self.count(RIGHT[self.kind])

    def minutes(self, q: float) -> float | None:
        """Of those that ended rightly, the q-quantile of the time since the revert was confirmed."""
        taken = [e.after_s for e in self.endings if e.finding.recovery is RIGHT[self.kind]]
        return (float(np.quantile(taken, q)) + SETTLE.total_seconds()) / 60.0 if taken else None


def seeded(seed: int, *of: object) -> np.random.Generator:
    """A stream of its own for each thing that is drawn, so that no table depends on what was run before it."""
    return np.random.default_rng([seed, *(zlib.crc32(str(x).encode()) for x in of)])


def origins(damage: str, n: int, seed: int) -> tuple[Origin, ...]:
    return tuple(origin(DAMAGES[damage], seeded(seed, damage, "origin", i)) for i in range(n))


def run(
    damage: str,
    calls_per_s: float,
    kind: Kind,
    came_from: Sequence[Origin],
    runs: int,
    seed: int,
    *,
    part: float | None = None,
) -> Cellful:
    """So many incidents, the promotions taking turns."""
    gauges = [o.gauges() if part is None else o.gauges(part) for o in came_from]
    endings: list[Ending] = []
    condition: Condition = DAMAGES[damage]
    for first in range(0, runs, _AT_ONCE):
        numbers = range(first, min(first + _AT_ONCE, runs))
        calls = [
            restored(kind, condition, calls_per_s, seeded(seed, damage, calls_per_s, kind.name, i)) for i in numbers
        ]
        of = [came_from[i % len(came_from)] for i in numbers]
        seats = which_may_trip(of, calls)
        endings += [
            ending(o, kept, gauges[i % len(came_from)], c)
            for i, o, kept, c in zip(numbers, of, seats, calls, strict=True)
        ]
    return Cellful(damage=damage, calls_per_s=calls_per_s, kind=kind, endings=endings)


def confusion(runs: int, promotions: int, seed: int, told: Callable[[str], None]) -> tuple[Table, Table]:
    """Every damage, traffic and truth; and the sums that the targets are about."""
    cells: list[Cellful] = []
    for damage in DAMAGES:
        told(damage)
        came_from = origins(damage, promotions, seed)
        for rate in RATES:
            for kind in Kind:
                if kind is Kind.FEW and rate != RATES[0]:
                    continue  # so many calls are so many, whatever the traffic
                cells.append(run(damage, rate, kind, came_from, runs, seed))
    about = (
        f"{runs:,} incidents a row; {promotions} promotions that the daemon's own judge found take turns, each with a "
        f"baseline of its own of {BASELINE_CALLS:,} calls; default pack, deadline 30 min, seed {seed}. "
        f"Calls suffice where there are {FACTOR:g} times as many as an oracle needs that knows both laws and is wrong "
        "once in a hundred on either side. Minutes are those of the right endings since the revert was confirmed, the "
        f"{SETTLE.total_seconds():.0f} s of settling included."
    )
    rows: list[dict[str, Cell | Share]] = []
    for cell in cells:
        few = cell.kind is Kind.FEW
        rows.append(
            {
                "damage": cell.damage,
                "calls/s": "-" if few else f"{cell.calls_per_s:g}",
                "truth": cell.kind.value,
                **{e.value: cell.count(e) for e in ENDINGS},
                "calls": FEW_CALLS if few else round(calls_there_are(cell.kind, cell.calls_per_s)),
                "suffice": None if few else round(cell.needed),
                "right where they do": f"{1.0 - cell.wrong / runs:.1%}" if cell.suffices else "-",
                "median, min": None if few else cell.minutes(0.5),
                "p95, min": None if few else cell.minutes(0.95),
            }
        )
    return Table(title="How the verification ends", about=about, rows=rows), _sums(cells)


def _sums(cells: Sequence[Cellful]) -> Table:
    rows: list[dict[str, Cell | Share]] = []
    targets = []
    for kind in Kind:
        of_kind = [cell for cell in cells if cell.kind is kind]
        enough = [cell for cell in of_kind if cell.suffices]
        total = sum(len(cell.endings) for cell in of_kind)
        share = Share(hits=sum(cell.wrong for cell in enough), runs=max(1, sum(len(c.endings) for c in enough)))
        rows.append(
            {
                "truth": kind.value,
                "incidents": total,
                **{e.value: sum(cell.count(e) for cell in of_kind) for e in ENDINGS},
                "rows where calls suffice": f"{len(enough)} of {len(of_kind)}",
                "wrong there": share if enough else None,
            }
        )
        for cell in enough:
            name = f"{cell.kind.value}, {cell.damage}" + ("" if kind is Kind.FEW else f", {cell.calls_per_s:g} calls/s")
            measured = cell.wrong / len(cell.endings)
            targets.append(Target(name=f"wrong endings, {name}", measured=measured, allowed=WRONG_AT_MOST))
    for name, kinds, wrongly, allowed in (
        (
            "still bad, or half as bad, and called recovered",
            BAD_ALL_THE_TIME,
            Recovery.RECOVERED,
            FALSE_RECOVERED_AT_MOST,
        ),
        ("recovered, and called upstream", (Kind.WELL,), Recovery.UPSTREAM_SUSPECTED, WRONG_AT_MOST),
    ):
        worst = max((c for c in cells if c.kind in kinds), key=lambda c: c.count(wrongly))
        where = f"{worst.kind.value}, {worst.damage}, {worst.calls_per_s:g} calls/s"
        rate = worst.count(wrongly) / len(worst.endings)
        targets.append(Target(name=f"{name}, worst row ({where})", measured=rate, allowed=allowed))
    about = (
        "All rows of a truth together, whether calls suffice or not; then the share of wrong endings in the rows where "
        "they do. A blip is rightly called upstream where its own calls suffice: it is the provider's."
    )
    return Table(title="The three endings", about=about, rows=rows, targets=targets)


def tolerances(runs: int, promotions: int, seed: int, told: Callable[[str], None]) -> Table:
    """The part of the damage that is tolerated: what it costs, and what a half recovery makes of it."""
    rows: list[dict[str, Cell | Share]] = []
    for damage, rate in TOLERATED_OF:
        told(f"tolerated parts, {damage}")
        came_from = origins(damage, promotions, seed)
        for part in PARTS:
            well = run(damage, rate, Kind.WELL, came_from, runs, seed, part=part)
            half = run(damage, rate, Kind.HALF, came_from, runs, seed, part=part)
            rows.append(
                {
                    "damage": damage,
                    "calls/s": rate,
                    "tolerated part": f"{part:.3g}",
                    "well: recovered": well.count(Recovery.RECOVERED) / runs,
                    "median, min": well.minutes(0.5),
                    "p95, min": well.minutes(0.95),
                    "well: upstream": well.count(Recovery.UPSTREAM_SUSPECTED) / runs,
                    "half stays: recovered": half.count(Recovery.RECOVERED) / runs,
                    "half stays: upstream": half.count(Recovery.UPSTREAM_SUSPECTED) / runs,
                }
            )
    return Table(
        title="How much of the damage may be tolerated",
        about=f"{runs} incidents a row and truth, {promotions} promotions taking turns, seed {seed}; shares of all.",
        rows=rows,
    )
