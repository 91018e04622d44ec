"""
`python -m tests.mutants`: take each safety line out of the program, and see that a test notices.

Each mutant is a copy of the package in which one line differs. Its tests must fail; where they pass, the line guards
nothing that anybody would miss.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from tests.mutants.lines import LINES
from tests.mutants.running import Caught, try_mutant


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", help="only these; all without any")
    parser.add_argument("--jobs", type=int, default=2, help="how many at once")
    parser.add_argument("--json", action="store_true", help="one object a mutant, one a line")
    given = parser.parse_args()
    wanted = [line for line in LINES if not given.names or line.name in given.names]
    if unknown := set(given.names) - {line.name for line in LINES}:
        parser.error(f"no such line: {', '.join(sorted(unknown))}")

    began_s = time.monotonic()
    with ThreadPoolExecutor(max_workers=given.jobs) as pool:
        results = pool.map(try_mutant, wanted)
        survivors = []
        for line, result in zip(wanted, results, strict=True):
            if given.json:
                print(json.dumps({"name": line.name, "caught": result.value, "tests": line.tests}))
            else:
                print(f"| {line.name} | `{line.file}` | {result.value} | {' '.join(f'`{t}`' for t in line.tests)} |")
            sys.stdout.flush()
            if result is not Caught.YES:
                survivors.append(line.name)
    if not given.json:
        print(f"\n{len(wanted) - len(survivors)} of {len(wanted)} caught, {time.monotonic() - began_s:.0f} s")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
