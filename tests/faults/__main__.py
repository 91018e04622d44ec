"""
`python -m tests.faults --part http`: one part of the battery; says what did not hold, and how to see it again.
"""

from __future__ import annotations

import argparse
import logging
import os
import shlex
import subprocess
import sys
import time
from collections import Counter

from tests.faults.parts import PARTS
from tests.mutants.lines import LINES
from tests.mutants.running import mutant


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--part", choices=PARTS, required=True)
    parser.add_argument("--seed", type=int, default=1, help="of what is drawn")
    parser.add_argument("--count", type=int, help="so many stories; without it all that the part has")
    parser.add_argument("--only", metavar="NAME", help="the story of this name alone")
    parser.add_argument("--for", type=float, dest="at_most_s", metavar="SECONDS", help="begin no story after these")
    parser.add_argument("--without", metavar="LINE", help="with this safety line taken out (see tests.mutants)")
    given = parser.parse_args()
    if given.without is not None:
        return _without(given.without, sys.argv[1:])
    logging.disable(logging.CRITICAL)

    began_s, played, broken = time.monotonic(), 0, 0
    totals: Counter[str] = Counter()
    for cell in PARTS[given.part](given.seed, given.count):
        if given.only is not None and cell.name != given.only:
            continue
        if given.at_most_s is not None and time.monotonic() - began_s > given.at_most_s:
            break
        outcome = cell.run()
        played += 1
        broken += bool(outcome.violations)
        totals += outcome.counted
        if outcome.violations:
            count = "" if given.count is None else f" --count {given.count}"
            again = f"--part {given.part} --seed {given.seed}{count} --only {shlex.quote(cell.name)}"
            print("\n".join(f"{cell.name}: {what}" for what in outcome.violations))
            print(f"    again: python -m tests.faults {again}", flush=True)
    what = ", ".join(f"{n:,} {name}" for name, n in totals.items())
    print(f"{given.part}, seed {given.seed}: {played:,} stories, {time.monotonic() - began_s:.0f} s: {what}")
    print("every invariant held" if not broken else f"{broken} stories in which an invariant was broken")
    return 1 if broken or not played else 0


def _without(name: str, arguments: list[str]) -> int:
    """The same in a copy of the program without one of its safety lines: what the battery then finds are its teeth."""
    line = next((line for line in LINES if line.name == name), None)
    if line is None:
        print(f"no safety line is called {name!r}; there are: {', '.join(line.name for line in LINES)}")
        return 2
    place = arguments.index("--without")
    kept = arguments[:place] + arguments[place + 2 :]
    with mutant(line) as folder:
        env = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run(
            [sys.executable, "-m", "tests.faults", *kept], cwd=folder, env=env, check=False
        ).returncode


if __name__ == "__main__":
    sys.exit(main())
