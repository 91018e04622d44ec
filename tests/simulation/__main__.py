"""
`python -m tests.simulation --seed 7 --prompt-years 10`: a story from one seed; says what did not hold, and how to
see it again.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import tempfile
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path

from tests.memory import MEMORY
from tests.simulation.invariants import aftermath, false_reverts, violations
from tests.simulation.simulation import Setting, Simulation

_CHUNK_DAYS = 73.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of the first story; each further one has the next")
    parser.add_argument("--prompt-years", type=float, default=10.0)
    parser.add_argument("--every", type=float, default=15.0, metavar="DAYS", help="mean time between two releases")
    parser.add_argument("--json", action="store_true", help="what was found and counted, as one object")
    given = parser.parse_args()
    logging.disable(logging.CRITICAL)

    done, seed, broken = 0.0, given.seed, 0
    everything: list[str] = []
    totals: Counter[str] = Counter()
    began_s = time.monotonic()
    while done < given.prompt_years:
        setting = Setting(seed=seed, days=_CHUNK_DAYS, every=timedelta(days=given.every))
        found, counted = story(setting)
        totals += counted
        broken += bool(found)
        everything += [f"seed {seed}: {what}" for what in found]
        if found and not given.json:
            print("\n".join(f"seed {seed}: {what}" for what in found))
            print(f"    again: python -m tests.simulation --seed {seed} --prompt-years 1 --every {given.every:g}")
        done += setting.prompt_years
        seed += 1
    if given.json:
        print(json.dumps({"prompt_years": done, "found": everything, "counted": totals}))
        return 1 if broken else 0
    what = ", ".join(f"{n:,} {name}" for name, n in totals.items())
    print(f"{done:g} prompt-years in {seed - given.seed} stories, {time.monotonic() - began_s:.0f} s: {what}")
    print("every invariant held" if not broken else f"{broken} stories in which an invariant was broken")
    return 1 if broken else 0


def story(setting: Setting) -> tuple[list[str], Counter[str]]:
    """Returns: what did not hold, and what happened how often."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        simulation = Simulation(setting, Path(folder))
        simulation.run()
        after = aftermath(simulation)
        counted = Counter(
            {
                "releases": len(simulation.people.releases),
                "of them harmful": sum(r.kind.name != "harmless" for r in simulation.people.releases),
                "reverts": len(after.own),
                "harmless ones reverted": len(false_reverts(after)),
                "incidents": len(after.incidents),
                "messages": len(simulation.slack.messages),
                "outages": len(simulation.platform.traffic.outages),
                "deaths": simulation.deaths,
                "faults": sum(simulation.weather.drawn.values()),
                "looks": simulation.ticks,
            }
        )
        return violations(after), counted


def _again_with_a_fixed_order() -> None:
    """Sets of names are walked in an order that differs from process to process, and a seed must tell one story."""
    if os.environ.get("PYTHONHASHSEED") != "0":
        os.execve(  # noqa: S606
            sys.executable,
            [sys.executable, "-m", "tests.simulation", *sys.argv[1:]],
            {**os.environ, "PYTHONHASHSEED": "0"},
        )


if __name__ == "__main__":
    _again_with_a_fixed_order()
    sys.exit(main())
