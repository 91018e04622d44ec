"""Like is compared with like, and a mix of requests that changed is no regression of the prompt."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from tests.builders import T0, call, rule_set, success_rule, watch
from watchdog.core import mix
from watchdog.core.judge import Progress, advance, begin, judge
from watchdog.core.judgement import Judgement, Reading, ReadingState
from watchdog.core.panel import Panel, assemble
from watchdog.core.policy import Alert, decide
from watchdog.core.rules import Action, Metric, Rule, Statistic
from watchdog.core.watch import Verdict
from watchdog.core.windows import WINDOW, Summary, summarise

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from watchdog.core.model import Call

P95 = Rule(name="p95", metric=Metric.LATENCY, statistic=Statistic.QUANTILE, quantile=0.95, margin_rel=0.2)
SHAPE = Rule(name="shape", metric=Metric.LATENCY, statistic=Statistic.DISTRIBUTION, margin_rel=0.2)
COST = Rule(name="cost", metric=Metric.COST, statistic=Statistic.MEAN, margin_rel=0.15)
LIMIT = Rule(name="floor", metric=Metric.SUCCESS, statistic=Statistic.LIMIT, limit_share=0.5)
HARD, EASY = 0.3, 0.01


def requests(
    n: int,
    seed: int,
    *,
    hard: float = 0.0,
    failing: Callable[[str], float] = lambda segment: HARD if segment == "hard" else EASY,
    tokens_times: float = 1.0,
    slower: float = 1.0,
    rename: str = "",
) -> list[Call]:
    """Calls of two segments of which one fails often; latency and cost grow with the input."""
    draw = random.Random(seed)  # noqa: S311 - not for secrets
    made = []
    for i in range(n):
        segment = "hard" if draw.random() < hard else "easy"
        tokens = max(1, round(draw.lognormvariate(6.5, 0.7) * tokens_times))
        made.append(
            call(
                i,
                ok=draw.random() >= failing(segment),
                segment=rename or segment,
                input_tokens=tokens,
                latency_ms=1000.0 * (tokens / 700) ** 0.6 * draw.lognormvariate(0.0, 0.4) * slower,
                cost_usd=1e-5 * tokens * draw.lognormvariate(0.0, 0.2),
            )
        )
    return made


def seated(baseline: list[Call], *rules: Rule) -> Panel:
    blocks = [summarise(baseline[i : i + 10]) for i in range(0, len(baseline), 10)]
    return assemble(rule_set(*rules), summarise(baseline), n_windows=8640, min_baseline_calls=50, blocks=blocks)


def watched(panel: Panel, calls: Iterable[Call]) -> tuple[Progress, Judgement]:
    windows: list[tuple[datetime, Summary]] = [(T0 + i * WINDOW, summarise([c])) for i, c in enumerate(calls)]
    progress = advance(panel, begin(panel), windows, sealed_until=windows[-1][0] + WINDOW)
    return progress, judge(panel, progress)


def reading(judgement: Judgement, rule: str) -> Reading:
    return next(r for r in judgement.readings if r.rule == rule)


@pytest.mark.parametrize("seed", range(5))
def test_more_requests_of_a_segment_that_always_failed_often_are_no_regression(seed: int) -> None:
    """Overall failures rise from 7 % to 25 %; within the segments nothing changed."""
    panel = seated(requests(1500, seed, hard=0.2), success_rule())
    _, judgement = watched(panel, requests(600, 100 + seed, hard=0.8))

    assert Verdict.OK is judgement.verdict
    assert "segments moved" in judgement.reason
    assert "like requests compared" in reading(judgement, "success").sentence


def test_a_regression_in_one_segment_is_found_behind_an_easier_mix() -> None:
    """Overall failures fall; in the easy segment they rise from 1 % to 20 %."""
    panel = seated(requests(1500, 1, hard=0.8), success_rule())
    progress, judgement = watched(panel, requests(600, 2, failing=lambda _: 0.2))

    assert Verdict.REGRESSED is judgement.verdict
    assert progress.candidate.calls < 150


@pytest.mark.parametrize("rule", [P95, SHAPE, COST], ids=lambda rule: rule.name)
def test_longer_requests_are_no_regression_of_latency_or_cost(rule: Rule) -> None:
    """All inputs are 1.6 times as long, and the prompt takes for each what it always took."""
    panel = seated(requests(3000, 1), rule)
    _, judgement = watched(panel, requests(1500, 2, tokens_times=1.6))

    assert Verdict.REGRESSED is not judgement.verdict
    assert "input tokens per call" in judgement.reason


def test_people_are_told_when_calls_cost_more_because_inputs_are_longer() -> None:
    """Other requests, or a longer prompt: a revert would be wrong in one case, and silence in the other."""
    panel = seated(requests(3000, 1), COST)
    _, judgement = watched(panel, requests(1500, 2, tokens_times=1.6))
    decision = decide(judgement, watch(), allowed=Action.REVERT)

    assert ReadingState.EXPLAINED is reading(judgement, "cost").state
    assert Verdict.INCONCLUSIVE is judgement.verdict
    assert isinstance(decision, Alert)
    assert "unless the prompt itself became longer" in decision.why_not_more


def test_a_longer_prompt_that_fails_is_no_matter_of_length() -> None:
    """All inputs are twice as long, and nearly half of the calls fail: the nearest lengths hardly ever did."""
    narrow = [call(i, ok=i % 100 != 0, input_tokens=680 + i % 40) for i in range(2000)]
    longer = [call(i, ok=i % 100 > 44, input_tokens=1380 + i % 40) for i in range(300)]
    _, judgement = watched(seated(narrow, success_rule()), longer)

    assert Verdict.REGRESSED is judgement.verdict


def test_lengths_that_the_baseline_never_saw_are_not_compared_with_others() -> None:
    """All requests were of one length, and are 1.7 times as long: what they may cost nobody knows."""
    narrow = [call(i, input_tokens=680 + i % 40, cost_usd=0.0068 + 1e-5 * (i % 40)) for i in range(2000)]
    longer = [call(i, input_tokens=1160 + i % 40, cost_usd=0.0104 + 1e-5 * (i % 40)) for i in range(300)]
    _, judgement = watched(seated(narrow, COST), longer)

    assert Verdict.INCONCLUSIVE is judgement.verdict
    assert reading(judgement, "cost").state in (ReadingState.UNFAMILIAR, ReadingState.EXPLAINED)


def test_a_label_that_is_new_for_each_call_tells_nothing_apart() -> None:
    """All calls are compared together then, latency and cost as well."""
    each = [call(i, segment=f"user-{i}", latency_ms=800.0 + i % 50) for i in range(1000)]
    slower = [call(i, segment=f"late-{i}", latency_ms=8000.0 + i % 50) for i in range(300)]
    panel = seated(each, P95)
    _, judgement = watched(panel, slower)

    assert Verdict.REGRESSED is judgement.verdict


def test_a_label_that_is_new_for_most_calls_tells_nothing_apart() -> None:
    """One tenant is known, nine of ten calls are of tenants that come once: all are compared together."""
    mostly_new = [call(i, segment="big" if i % 10 == 0 else f"user-{i}") for i in range(1000)]

    assert () == seated(mostly_new, success_rule()).segments


def test_only_so_many_segments_are_told_apart() -> None:
    """The largest ones; a thousand of them would cost more than they tell."""
    many = [call(i, segment=f"tenant-{i % 100}") for i in range(4000)]

    assert 50 == len(seated(many, success_rule()).segments)


def unlabelled(n: int, seed: int, *, tokens: float, failing: Callable[[int], float]) -> list[Call]:
    draw = random.Random(seed)  # noqa: S311 - not for secrets
    made = []
    for i in range(n):
        length = max(1, round(draw.lognormvariate(tokens, 0.5)))
        made.append(call(i, ok=draw.random() >= failing(length), input_tokens=length))
    return made


def long_fails(length: int) -> float:
    return 0.3 if length > 2000 else 0.02


def test_failures_that_longer_requests_explain_lower_the_verdict() -> None:
    """Long inputs always failed often; now there are more of them."""
    panel = seated(unlabelled(2000, 1, tokens=6.9, failing=long_fails), success_rule())
    _, judgement = watched(panel, unlabelled(500, 2, tokens=7.8, failing=long_fails))

    assert ReadingState.EXPLAINED is reading(judgement, "success").state
    assert Verdict.INCONCLUSIVE is judgement.verdict
    assert "the requests changed, and that can explain it" in judgement.reason


def test_longer_requests_do_not_explain_away_a_total_failure() -> None:
    """No length of input ever failed always."""
    panel = seated(unlabelled(2000, 1, tokens=6.9, failing=long_fails), success_rule())
    progress, judgement = watched(panel, unlabelled(100, 2, tokens=7.8, failing=lambda _: 1.0))

    assert Verdict.REGRESSED is judgement.verdict
    assert progress.candidate.calls <= 30


def test_a_mix_that_did_not_move_says_nothing() -> None:
    """Neither in the verdict nor in the notes."""
    before, now = summarise(requests(2000, 1, hard=0.3)), summarise(requests(500, 2, hard=0.3))

    assert mix.Mix() == mix.compare(before, now)


def test_another_model_and_a_cold_cache_are_named() -> None:
    """They explain nothing by themselves: the promotion may have done it."""
    before = summarise(call(i, input_tokens=100, cached_tokens=90, model="large") for i in range(100))
    now = summarise(call(i, input_tokens=100, cached_tokens=0, model="small") for i in range(100))

    assert (
        "the model that answers moved, most of all large 100.0 % -> 0.0 %",
        "input tokens from the provider's cache 90.0 % -> 0.0 %",
    ) == mix.compare(before, now).notes


def calls_until_regressed(panel: Panel, calls: Sequence[Call], step: int) -> tuple[int, bool]:
    """Looked at every so many windows: calls until the verdict, and whether the mix held it for a while."""
    windows = [(T0 + i * WINDOW, summarise([c])) for i, c in enumerate(calls)]
    progress, held = begin(panel), False
    for first in range(0, len(windows), step):
        until = windows[min(first + step, len(windows)) - 1][0] + WINDOW
        while progress.judged_until is None or progress.judged_until < until:
            ahead = [w for w in windows if progress.judged_until is None or w[0] >= progress.judged_until]
            progress = advance(panel, progress, [w for w in ahead if w[0] < until], sealed_until=until)
            held = held or bool(progress.held)
            if judge(panel, progress).verdict is Verdict.REGRESSED:
                return progress.candidate.calls, held
    return progress.candidate.calls, held


def test_a_verdict_that_the_mix_held_for_a_while_does_not_depend_on_when_one_looked() -> None:
    """Window by window, some at a time, or all at once: after the same call."""
    panel = seated(unlabelled(2000, 1, tokens=6.9, failing=long_fails), success_rule())
    calls = unlabelled(400, 7, tokens=7.8, failing=lambda length: 0.6 if length > 2000 else 0.05)

    found = {calls_until_regressed(panel, calls, step) for step in (1, 7, 400)}

    assert 1 == len(found)
    ((n, held),) = found
    assert held
    assert n < 400
