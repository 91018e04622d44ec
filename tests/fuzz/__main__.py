"""
`python -m tests.fuzz --part configs --count 100000 --seed 1`: files and answers that nobody would write on purpose.

What must hold: an error that says what and where, or a value; never a traceback, a hang, a secret, a change by halves.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time

from tests.fuzz.parts import PARTS
from tests.fuzz.running import run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--part", choices=sorted(PARTS), required=True)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first case, to see one again")
    given = parser.parse_args()
    logging.disable(logging.CRITICAL)

    began_s = time.monotonic()
    tally = run(given.part, PARTS[given.part], seed=given.seed, first=given.first, count=given.count)
    for i, what in tally.broken[:20]:
        print(f"case {i}: {what}")
        print(f"    again: python -m tests.fuzz --part {given.part} --seed {given.seed} --first {i} --count 1")
    came = ", ".join(f"{n:,} {what}" for what, n in sorted(tally.came.items()))
    print(
        f"{given.part}: {given.count:,} cases of seed {given.seed}, {time.monotonic() - began_s:.0f} s: {came}; "
        f"{len(tally.broken)} violations"
    )
    return 1 if tally.broken else 0


if __name__ == "__main__":
    sys.exit(main())
