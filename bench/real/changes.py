"""What is looked for: changes of known size that are made to the calls, and known changes between two traces."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from bench.real.watched import BOTH, PACK
from watchdog.core.rules import Metric

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from bench.real.traces import Trace
    from watchdog.replay.cells import CallRow


@dataclass(frozen=True, kw_only=True)
class Injection:
    """
    A change that is made to the candidate's calls.

    Attributes:
        factor: of the metric's values; 1 for failures.
        failing: share of all calls that fails in addition.
        target: mean calls to the revert, at most; None for none.
    """

    name: str
    metric: Metric
    factor: float = 1.0
    failing: float = 0.0
    target: float | None = None

    def fits(self, trace: Trace) -> bool:
        """Whether the trace knows what is changed, and has room for it."""
        match self.metric:
            case Metric.LATENCY:
                return any(call.latency_ms for call in trace.calls)
            case Metric.COST:
                return any(call.cost_usd for call in trace.calls)
            case _:
                return trace.has_outcome and trace.successes >= max(0.5, self.failing)

    def into(self, calls: Sequence[CallRow], successes: float, rng: random.Random) -> list[CallRow]:
        """The calls, changed."""
        match self.metric:
            case Metric.LATENCY:
                return [c._replace(latency_ms=c.latency_ms and self.factor * c.latency_ms) for c in calls]
            case Metric.COST:
                return [c._replace(cost_usd=c.cost_usd and self.factor * c.cost_usd) for c in calls]
            case _:
                spared = 1.0 - self.failing / successes
                return [c._replace(ok=False) if c.ok and rng.random() >= spared else c for c in calls]


X2 = Injection(name="latency x2", metric=Metric.LATENCY, factor=2.0, target=40.0)
DEARER = Injection(name="cost x1.5", metric=Metric.COST, factor=1.5)
FAILING = Injection(name="success -30 pp", metric=Metric.SUCCESS, failing=0.3)
INJECTIONS = (
    (X2, BOTH),
    (X2, PACK),
    (Injection(name="latency x1.5", metric=Metric.LATENCY, factor=1.5), BOTH),
    (Injection(name="latency x1.5", metric=Metric.LATENCY, factor=1.5), PACK),
    (DEARER, PACK),
    (FAILING, PACK),
    (Injection(name="success -10 pp", metric=Metric.SUCCESS, failing=0.1), PACK),
)


class Change(NamedTuple):
    """Two traces, and the calls to a revert that are the target; None where there is none."""

    source: str
    before: tuple[str, str]
    after: tuple[str, str]
    target: float | None = None


_JUDGE, _JUDGED = "x-ai_grok-4.1-fast", "x-ai_grok-4.1-fast_no_reasoning"
_RUNS = ("20250210-154747", "20250210-194140", "20250215-214650", "20250306-215054", "20250421-195443")
CHANGES = (
    Change("llmdrift", ("prime/gpt-4", "0314"), ("prime/gpt-4", "0613"), 20.0),
    Change("llmdrift", ("happynumber/gpt-4", "0314"), ("happynumber/gpt-4", "0613"), 25.0),
    Change("llmdrift", ("opinionqa/gpt-3.5-turbo", "0301"), ("opinionqa/gpt-3.5-turbo", "0613")),
    Change("speechmap", ("deepseek/deepseek-chat", ""), ("deepseek/deepseek-chat-v3-0324", "")),
    Change("speechmap", ("openai/gpt-4o-2024-11-20", ""), ("openai/chatgpt-4o-latest", "")),
    Change("speechmap", ("x-ai/grok-2-1212", ""), ("x-ai/grok-3-beta", "")),
    *(Change("aibench", ("aai-gpt-4o", _RUNS[2]), ("aai-gpt-4o", run)) for run in _RUNS[3:]),
    *(Change("aibench", ("oai-gpt-4o-mini", _RUNS[2]), ("oai-gpt-4o-mini", run)) for run in _RUNS[3:]),
    *(
        Change("aibench", (stream, a), (stream, b))
        for stream in ("aai-gpt-4o", "oai-gpt-4o-mini", "xai-grok-beta")
        for a, b in pairwise(_RUNS[:3])
    ),
    *(Change("judge_prompts", (_JUDGE, _JUDGED), (_JUDGE, f"{_JUDGED}_grok_{v}")) for v in ("v2", "v3", "v4a")),
)
