"""
How often the verification of a revert ends rightly, and how soon.

    python -m bench.recovery [--quick] [--tables NAME ...] [--runs N] [--promotions N] [--seed N] [--json]

The restored version's calls are simulated and given to the daemon's own `core.recovery.assess`. Everything comes from
seeded generators: the same options print the same figures. `--quick` takes less than a minute and says little about
rare errors; without it it is 15 to 25 minutes on one core.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING

from bench.recovery import tables

if TYPE_CHECKING:
    from collections.abc import Sequence

SEED = 20261126
RUNS = 1_000
PROMOTIONS = 100
QUICK_RUNS = 20
QUICK_PROMOTIONS = 5
TABLES = ("endings", "tolerances")


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables that were asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench.recovery", description=__doc__.splitlines()[1])
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=TABLES, help="which tables")
    parser.add_argument("--runs", type=int, help=f"incidents of each kind (default {RUNS:,})")
    parser.add_argument("--promotions", type=int, help=f"bad promotions that take turns (default {PROMOTIONS})")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--quick", action="store_true", help="less than a minute")
    parser.add_argument("--json", action="store_true", help="one object a table, on one line")
    asked = parser.parse_args(arguments)
    runs = asked.runs or (QUICK_RUNS if asked.quick else RUNS)
    promotions = asked.promotions or (QUICK_PROMOTIONS if asked.quick else PROMOTIONS)
    began = time.perf_counter()

    def told(what: str) -> None:
        if sys.stderr.isatty():
            print(f"[{time.perf_counter() - began:6.0f} s] {what}", file=sys.stderr)

    made = []
    if "endings" in asked.tables:
        made += tables.confusion(runs, promotions, asked.seed, told)
    if "tolerances" in asked.tables:
        made.append(tables.tolerances(max(2, runs // 4), promotions, asked.seed, told))
    for table in made:
        print(table.json() if asked.json else table.text(), flush=True)


if __name__ == "__main__":
    main()
