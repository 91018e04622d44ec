"""
How often the engine reverts recorded calls of which nothing changed, and how soon it sees what did.

    python -m bench.real [--data FOLDER] [--cuts N] [--parts NAME ...] [--quick] [--seed N] [--json]

A folder of traces is laid out as `SOURCES` says; without one the calls that ship with the embedded platform are used.
Everything goes through the engine that replays files: the default pack, one call a window, blocks of a few calls. A
pseudo-promotion cuts the calls of one version at 40 to 60 %: nothing was promoted there, so each revert is a false one,
unless the requests changed at that point, which the calls alone do not tell. Watches of one stream overlap.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench.real.promotions import Bench
from bench.real.tables import PARTS
from bench.real.traces import SOURCES, traces

if TYPE_CHECKING:
    from collections.abc import Sequence

SEED = 20261120
CUTS = 10
QUICK_CUTS = 2


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables that were asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench.real", description=__doc__.splitlines()[1])
    parser.add_argument("--data", type=Path, help="folder of traces (default: the calls that are shipped)")
    parser.add_argument("--cuts", type=int, help=f"pseudo-promotions of each stream (default {CUTS})")
    parser.add_argument("--parts", nargs="+", choices=tuple(PARTS), default=tuple(PARTS), help="which tables")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_CUTS} cuts")
    parser.add_argument("--json", action="store_true", help="one object a table, on one line")
    asked = parser.parse_args(arguments)
    found = traces(asked.data)
    if not found:
        parser.error(f"--data {asked.data}: holds none of {', '.join(source.path for source in SOURCES)}")
    if asked.data is None and not asked.json:
        print("the calls that are shipped; --data FOLDER names a folder of traces\n")
    began = time.perf_counter()

    def told(what: str) -> None:
        if sys.stderr.isatty():
            print(f"[{time.perf_counter() - began:6.0f} s] {what}", file=sys.stderr)

    bench = Bench(found, cuts=asked.cuts or (QUICK_CUTS if asked.quick else CUTS), seed=asked.seed, told=told)
    for name in asked.parts:
        for table in PARTS[name](bench):
            if table.rows:
                print(table.json() if asked.json else table.text(), flush=True)


if __name__ == "__main__":
    main()
