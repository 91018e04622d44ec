"""Promotions made of traces: cuts of one version, where nothing was promoted, and pairs of two."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from bench.real.watched import LOWERING, PACK, Found, Lever, watched

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.real.changes import Change, Injection
    from bench.real.traces import Source, Trace
    from watchdog.core.rules import RuleSet
    from watchdog.replay.cells import CallRow

SHORTEST = 150
RAW, SHUFFLED = "raw", "shuffled"


class Bench:
    """
    The traces, and the watches of them; each is run once.

    Args:
        told: hears what is being run.
    """

    def __init__(self, traces: Sequence[Trace], *, cuts: int, seed: int, told: Callable[[str], None]) -> None:
        self.traces = traces
        self.long = [trace for trace in traces if len(trace.calls) >= SHORTEST]
        self.sources = list(dict.fromkeys(trace.source for trace in traces))
        self.cuts, self.seed = cuts, seed
        self.told = told
        self._seen: dict[tuple[str, int, str, frozenset[Lever]], Found] = {}

    def sides(self, trace: Trace, cut: int, order: str) -> tuple[list[CallRow], list[CallRow], random.Random]:
        """Before and after a pseudo-promotion, the same whatever else is asked for, and what chance comes next."""
        rng = random.Random(f"{self.seed} {trace.source.name} {trace.name} {cut}")  # noqa: S311 - a simulation
        calls = list(trace.calls)
        at = int(len(calls) * rng.uniform(0.4, 0.6))
        if order == SHUFFLED:
            rng.shuffle(calls)
        return calls[:at], calls[at:], rng

    def unchanged(
        self, source: Source, order: str, without: frozenset[Lever] = frozenset()
    ) -> list[tuple[Trace, Found]]:
        """The pseudo-promotions of all long traces of a source."""
        self.told(f"{source.name}, {order}, without {', '.join(sorted(x.value for x in without)) or 'nothing'}")
        engine = without - LOWERING
        # What a source has none of makes no other watch.
        if not source.segment:
            engine -= {Lever.SEGMENTS}
        if not source.has_input_tokens:
            engine -= {Lever.TOKENS}
        found = []
        for trace in self.long:
            if trace.source is not source:
                continue
            for cut in range(self.cuts):
                key = (trace.name, cut, order, engine)
                if key not in self._seen:
                    before, after, _ = self.sides(trace, cut, order)
                    self._seen[key] = watched(before, after, without=engine)
                found.append((trace, self._seen[key].without(without)))
        return found

    def injected(
        self,
        injection: Injection,
        order: str,
        *,
        cuts: int,
        rules: RuleSet = PACK,
        without: frozenset[Lever] = frozenset(),
    ) -> list[Found]:
        """The pseudo-promotions with a true change."""
        self.told(f"{injection.name}, {order}, {rules.source}")
        found = []
        for trace in self.long:
            if trace.source.name == "judge_prompts" or not injection.fits(trace):
                continue
            for cut in range(cuts):
                before, after, rng = self.sides(trace, cut, order)
                changed = injection.into(after, trace.successes, rng)
                found.append(watched(before, changed, rules=rules, without=without))
        return found

    def pair(self, change: Change) -> tuple[Trace, Trace] | None:
        """The traces of a change; None where the folder lacks one."""
        of = {(t.source.name, t.stream, t.version): t for t in self.traces}
        before, after = of.get((change.source, *change.before)), of.get((change.source, *change.after))
        return None if before is None or after is None else (before, after)

    def mixed(self, pair: tuple[Trace, Trace], number: int) -> tuple[list[CallRow], list[CallRow]]:
        """Both sides of a change, each in an order of its own."""
        rng = random.Random(f"{self.seed} {pair[0].name} {pair[1].name} {number}")  # noqa: S311 - a simulation
        return rng.sample(pair[0].calls, len(pair[0].calls)), rng.sample(pair[1].calls, len(pair[1].calls))
