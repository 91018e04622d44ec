"""
`python -m tests.mutants`: take each safety line out of the program, and see that a test notices.
`python -m tests.mutants --score core/guards ...`: make every small change to a file, and see how many are noticed.

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
from tests.mutants.score import SCORED, tried, wilson

# Of the saga, the guards and the statistics.
_ENOUGH = 0.9


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", help="only these; all without any")
    parser.add_argument("--jobs", type=int, default=2, help="how many at once")
    parser.add_argument("--json", action="store_true", help="one object a mutant, one a line")
    parser.add_argument(
        "--score", action="store_true", help="the names are files, such as core/guards; all without any"
    )
    parser.add_argument("--sample", type=int, metavar="N", help="of a score: so many mutants, drawn by --seed")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    if given.score:
        return _score(given.names, given.sample, given.seed, given.jobs)
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


def _score(names: list[str], sample: int | None, seed: int, jobs: int) -> int:
    """Returns: 1 where less than `_ENOUGH` of all mutants were noticed."""
    began_s = time.monotonic()
    of_files: dict[str, list[bool]] = {}
    for one in tried(names or list(SCORED), sample=sample, seed=seed, jobs=jobs):
        of_files.setdefault(one.file, []).append(one.caught)
        if not one.caught:
            print(f"survived: {one.file}.py:{one.mutant.line} {one.mutant.what} (mutant {one.mutant.number})")
            sys.stdout.flush()
    for file, caught in of_files.items():
        print(f"| `{file}.py` | {sum(caught)} of {len(caught)} | {100 * sum(caught) / len(caught):.1f} % |")
    everything = [caught for found in of_files.values() for caught in found]
    share = sum(everything) / len(everything)
    low, high = wilson(sum(everything), len(everything))
    drawn = f"a sample by seed {seed}, 95 %: {100 * low:.1f} to {100 * high:.1f} %" if sample else "all of them"
    took_s = time.monotonic() - began_s
    print(f"{sum(everything)} of {len(everything)} caught, {100 * share:.1f} % ({drawn}), {took_s:.0f} s")
    return 0 if share >= _ENOUGH else 1


if __name__ == "__main__":
    sys.exit(main())
