"""
`python -m tests.replicas --count 2000 --seed 7`: three replicas under kills, stops and cuts; says what did not hold,
and how to see it again.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path

from tests.replicas.battery import Battery, violations


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.replicas", description=__doc__)
    parser.add_argument("--count", type=int, default=200, help="rollbacks that are inserted at their intent")
    parser.add_argument("--stories", type=int, default=8, help="promotions that are watched from the beginning")
    parser.add_argument("--seed", type=int, default=1, help="of what is done to the replicas, and when")
    parser.add_argument("--patience", type=float, default=0.0, metavar="S", help="0 for 120 s and 3 s a rollback")
    parser.add_argument("--calm", action="store_true", help="nothing is done to them")
    parser.add_argument("--apart", action="store_true", help="the clocks of the replicas differ by hours and decades")
    parser.add_argument("--keep", type=Path, help="folder for the logs; else they are thrown away")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="replicas-", ignore_cleanup_errors=True) as made:
        folder = given.keep or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        return _one(given, folder)


def _one(given: argparse.Namespace, folder: Path) -> int:
    began_s = time.monotonic()
    patience_s = given.patience or 120.0 + 3.0 * given.count + 10.0 * given.stories
    with Battery(
        folder, given.count, given.stories, given.seed, patience_s, calm=given.calm, apart=given.apart
    ) as battery:
        finished = battery.run()
        codes = battery.end()
        found = violations(battery)
    if not finished:
        found.insert(0, f"not everything was done within {patience_s:g} s")
    # One that was just being started when it was told to end has no handler yet.
    found += [f"a replica ended with code {code}" for code in codes if code not in (0, -signal.SIGTERM)]
    print("\n".join(found[:50]))
    done = ", ".join(f"{n} {what}" for what, n in sorted(battery.done_to.items())) or "nothing"
    print(
        f"{given.count} rollbacks and {given.stories} stories, seed {given.seed}, {time.monotonic() - began_s:.0f} s; "
        f"done to the replicas: {done}; {len(found)} violations"
    )
    if found:
        again = (
            f"--count {given.count} --stories {given.stories} --seed {given.seed}{' --apart' if given.apart else ''}"
        )
        print(f"    again: python -m tests.replicas {again}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
