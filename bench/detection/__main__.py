"""
How often the engine reverts what is harmless, and how many calls it needs to see what is not.

    python -m bench.detection [--quick] [--worlds NAME ...] [--promotions N] [--runs N] [--seed N] [--json]

The rules are those of the default pack where a table says so, run by `watchdog.stats`. Everything is simulated from
seeded generators: the same options print the same figures. `--quick` takes about a minute and says little about rare
events; without it the headline alone takes 20 minutes on one core, everything about 45.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.detection import (
    delays,
    false_reverts,
    fast_failures,
    late_onset,
    mix,
    outages,
    peers,
    rivals,
    tempering,
    weekday,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bench.detection.report import Table

SEED = 20261120
PROMOTIONS = 30_000
RUNS = 1_000
QUICK_PROMOTIONS = 400
QUICK_RUNS = 30


@dataclass(frozen=True, kw_only=True)
class Size:
    """
    Attributes:
        promotions: of the headline, for each of its worlds.
        runs: of the other tables; costly ones take a part of it.
    """

    promotions: int
    runs: int
    seed: int

    def part(self, divisor: int) -> int:
        return max(2, self.runs // divisor)


def _headline(size: Size, told: Callable[[str], None]) -> Iterator[Table]:
    yield false_reverts.headline(size.promotions, size.seed, told)


def _climates(size: Size, told: Callable[[str], None]) -> Iterator[Table]:
    yield false_reverts.climates(size.part(5), size.seed, told)
    yield tempering.table(size.part(30), size.seed, told)


def _peers(size: Size, told: Callable[[str], None]) -> Iterator[Table]:
    for rule in (peers.FAILURES, peers.P95, peers.P95_WITH_MARGIN):
        yield peers.table(rule, size.part(10), size.seed, told)
    yield peers.unlike(size.part(20), size.seed, told)


def _outages(size: Size, told: Callable[[str], None]) -> Iterator[Table]:
    yield outages.everybody(size.runs if size.runs > QUICK_RUNS else size.part(6), size.seed, told)
    yield outages.bad_prompt(size.part(30), size.seed, told)


def _mix(size: Size, told: Callable[[str], None]) -> Iterator[Table]:
    yield mix.table(size.runs, size.seed, told)


def _weekday(size: Size, told: Callable[[str], None]) -> Iterator[Table]:
    yield weekday.harmless(size.part(5), size.seed, told)
    yield weekday.harmful(size.part(20), size.seed, told)


def _fast_failures(size: Size, told: Callable[[str], None]) -> Iterator[Table]:
    yield fast_failures.table(size.runs, size.seed, told)


def _onset(size: Size, told: Callable[[str], None]) -> Iterator[Table]:
    yield late_onset.table(size.part(10), 4 * size.runs, size.seed, told)


def _delays(size: Size, told: Callable[[str], None]) -> Iterator[Table]:
    yield delays.shares(size.part(3), size.seed, told)
    yield delays.values(size.part(6), size.seed, told)


def _rivals(size: Size, told: Callable[[str], None]) -> Iterator[Table]:
    yield rivals.table(size.runs, size.seed, told)


WORLDS = {
    "headline": _headline,
    "delays": _delays,
    "rivals": _rivals,
    "onset": _onset,
    "climates": _climates,
    "peers": _peers,
    "outages": _outages,
    "mix": _mix,
    "weekday": _weekday,
    "fast-failures": _fast_failures,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables that were asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench.detection", description=__doc__.splitlines()[1])
    parser.add_argument("--worlds", nargs="+", choices=tuple(WORLDS), default=tuple(WORLDS), help="which tables")
    parser.add_argument("--promotions", type=int, help=f"of the headline, a world (default {PROMOTIONS:,})")
    parser.add_argument("--runs", type=int, help=f"of the other tables (default {RUNS:,})")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--quick", action="store_true", help="few runs of everything, 1.5 to 2.5 min")
    parser.add_argument("--json", action="store_true", help="one object a table, on one line")
    asked = parser.parse_args(arguments)
    size = Size(
        promotions=asked.promotions or (QUICK_PROMOTIONS if asked.quick else PROMOTIONS),
        runs=asked.runs or (QUICK_RUNS if asked.quick else RUNS),
        seed=asked.seed,
    )
    began = time.perf_counter()

    def told(what: str) -> None:
        if sys.stderr.isatty():
            print(f"[{time.perf_counter() - began:6.0f} s] {what}", file=sys.stderr)

    for name in asked.worlds:
        for table in WORLDS[name](size, told):
            print(table.json() if asked.json else table.text(), flush=True)


if __name__ == "__main__":
    main()
