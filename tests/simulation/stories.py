"""
`python -m tests.simulation.stories --count 300 --seed 1`: the machine of Hypothesis, for as many stories as wanted.

A failure is told in the fewest steps that show it, and can be pasted into a test.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
import traceback

from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.simulation.machine import Organisation


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.stories", description=__doc__)
    parser.add_argument("--count", type=int, default=300, help="stories")
    parser.add_argument("--length", type=int, default=40, help="steps of each, at most")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    logging.disable(logging.CRITICAL)

    began_s = time.monotonic()
    profile = settings(
        max_examples=given.count,
        stateful_step_count=given.length,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
    held = True
    try:
        run_state_machine_as_test(seed(given.seed)(Organisation), settings=profile)
    except Exception as exc:  # noqa: BLE001 - whatever it is, it is what was looked for
        held = False
        sys.stdout.write("".join(traceback.format_exception(exc, limit=-3)))
        sys.stdout.write(f"\n    again: python -m tests.simulation.stories --count {given.count} --seed {given.seed}\n")
    what = "every invariant held" if held else "an invariant was broken"
    took_s = time.monotonic() - began_s
    steps = f"{Organisation.steps:,} steps"
    sys.stdout.write(f"{given.count} stories of seed {given.seed}, {steps}, {took_s:.0f} s: {what}\n")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
