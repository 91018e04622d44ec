"""
How many recorded calls the default rules need for a verdict, on the calls that ship with the embedded platform.

    python bench/recorded_calls.py

For each stream: the earlier model version's calls dealt in turn to baseline and candidate (nothing changed), and the
later version's calls against that baseline (it truly changed), in recorded order and shuffled. One call a window.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from watchdog.config.packs import load_rules
from watchdog.core.judge import advance, begin, judge
from watchdog.core.model import Call, ErrorKind
from watchdog.core.panel import assemble
from watchdog.core.watch import Verdict
from watchdog.core.windows import WINDOW, Summary, summarise
from watchdog.embedded.recordings import STREAMS, VARIANTS, RecordedCall, load_recording

if TYPE_CHECKING:
    from collections.abc import Sequence

T0 = datetime(2026, 1, 1, tzinfo=UTC)
WINDOWS_PER_DAY = 8640
SHUFFLES = 20
SEED = 20261120


def call_of(i: int, recorded: RecordedCall) -> Call:
    at = T0 + i * WINDOW
    return Call(
        id=str(i),
        prompt_id="p",
        version_id="v",
        environment="production",
        started_at=at,
        recorded_at=at,
        latency_ms=recorded.latency_ms or None,
        ok=recorded.ok,
        error_kind=None if recorded.ok else ErrorKind.VALIDATION,
        cost_usd=recorded.cost_usd,
    )


def summary(calls: Sequence[RecordedCall]) -> Summary:
    return summarise(call_of(i, c) for i, c in enumerate(calls))


def watched(baseline: Sequence[RecordedCall], candidate: Sequence[RecordedCall]) -> tuple[Verdict, int, str]:
    """Verdict, calls of the candidate that it took (all of them when nothing tripped), and the rule."""
    rules = load_rules(("default",))
    panel = assemble(rules, summary(baseline), n_windows=WINDOWS_PER_DAY, min_baseline_calls=50)
    windows = [(T0 + i * WINDOW, summarise([call_of(i, c)])) for i, c in enumerate(candidate)]
    progress = advance(panel, begin(panel), windows, sealed_until=windows[-1][0] + WINDOW)
    acting = [r for r in judge(panel, progress).readings if r.tripped_after is not None and r.action.value != "alert"]
    if not acting:
        return Verdict.OK, progress.candidate.calls, ""
    return Verdict.REGRESSED, acting[0].tripped_after or 0, acting[0].rule


def shuffled(calls: Sequence[RecordedCall], seed: int) -> list[RecordedCall]:
    mixed = list(calls)
    random.Random(seed).shuffle(mixed)  # noqa: S311 - a simulation
    return mixed


def line(what: str, outcomes: list[tuple[Verdict, int, str]]) -> str:
    reverted = sorted(calls for verdict, calls, _ in outcomes if verdict is Verdict.REGRESSED)
    rules = ", ".join(sorted({rule for _, _, rule in outcomes if rule}))
    if len(outcomes) == 1:
        verdict, calls, rule = outcomes[0]
        return f"  {what:<34} {verdict.value:<10} {calls:>5} calls  {rule}"
    median = f"median {reverted[len(reverted) // 2]} calls" if reverted else ""
    return f"  {what:<34} reverted {len(reverted)} of {len(outcomes)}  {median}  {rules}"


def main() -> None:
    print(f"calls to verdict, default rules, seed {SEED}")
    for stream in STREAMS:
        before, after = VARIANTS[stream]
        earlier, later = load_recording(stream, before), load_recording(stream, after)
        baseline, same = earlier[0::2], earlier[1::2]
        print(f"{stream}: baseline {len(baseline)} calls of {before}")
        print(line("unchanged, recorded order", [watched(baseline, same)]))
        halves = [shuffled(earlier, SEED + i) for i in range(SHUFFLES)]
        print(line("unchanged, shuffled", [watched(h[0::2], h[1::2]) for h in halves]))
        print(line(f"changed to {after}, recorded order", [watched(baseline, later)]))
        mixes = [shuffled(later, SEED + i) for i in range(SHUFFLES)]
        print(line(f"changed to {after}, shuffled", [watched(baseline, mix) for mix in mixes]))


if __name__ == "__main__":
    main()
