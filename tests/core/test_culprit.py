"""Which change is to blame, as far as anything is known; and never a word of a prompt."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from watchdog.core.clusters import Choice, Cluster, Report
from watchdog.core.culprit import symptoms
from watchdog.core.diff import NONE_EXPLAINS, changes
from watchdog.core.model import ErrorKind, PromptVersion
from watchdog.core.rules import Metric
from watchdog.core.shapes import Shape
from watchdog.core.windows import Summary

EDITED = "system prompt: 1 line removed, 1 added"
GROWN = "system prompt: 0 lines removed, 19 added"
LONG = "You are kind.\n" * 20


def cluster(shape: Shape, count: int, of: int, *, json: bool = True, kind: str = "unparsable") -> Cluster:
    return Cluster(kind=kind, code="", shape=shape, detail="", json=json, count=count, of=of, sentence="", examples=())


def failed(**kinds: int) -> Summary:
    """100 calls, so many of which failed in each way."""
    errors = {ErrorKind(kind): n for kind, n in kinds.items()}
    return Summary(calls=100, failures=sum(kinds.values()), errors=errors)


@dataclass(frozen=True, kw_only=True)
class Case:
    """
    Attributes:
        good, bad: parameters and, as `system`, `user` and `variables`, content.
        expected: the lines, in order.
    """

    why: str
    good: dict[str, object]
    bad: dict[str, object]
    candidate: Summary
    expected: tuple[str, ...]
    metric: Metric = Metric.SUCCESS
    baseline: Summary = field(default_factory=lambda: Summary(calls=1000))
    report: Report | None = None


CASES = [
    Case(
        why="a stop sequence and JSON that is cut, seen in the calls themselves",
        good={"temperature": 0.2, "stopSequences": []},
        bad={"temperature": 1.0, "stopSequences": ["}"]},
        candidate=failed(unparsable=34),
        report=Report(
            choice=Choice.FAILING,
            looked_at=34,
            clusters=(cluster(Shape.CUT_AT_STOP, 31, 34), cluster(Shape.TIMEOUT, 3, 34, json=False, kind="timeout")),
        ),
        expected=(
            "stopSequences: added '}' (likeliest: 31 of 34 failures are JSON that is cut)",
            "temperature: 0.2 -> 1.0",
        ),
    ),
    Case(
        why="without the calls the kinds of errors must do: a stop sequence before a temperature",
        good={"temperature": 0.2, "stopSequences": []},
        bad={"temperature": 1.0, "stopSequences": ["}"]},
        candidate=failed(unparsable=30),
        expected=(
            "stopSequences: added '}' (likeliest: 30 of 30 failures are JSON that cannot be parsed)",
            "temperature: 0.2 -> 1.0 (possible)",
        ),
    ),
    Case(
        why="fewer tokens allowed, and outputs that are cut",
        good={"maxTokens": 1024, "topP": 0.9},
        bad={"maxTokens": 64, "topP": 1.0},
        candidate=failed(truncated=12),
        expected=("maxTokens: 1024 -> 64 (likeliest: 12 of 12 failures are cut short)", "topP: 0.9 -> 1.0"),
    ),
    Case(
        why="more tokens allowed cut nothing",
        good={"maxTokens": 64},
        bad={"maxTokens": 1024},
        candidate=failed(truncated=12),
        expected=("maxTokens: 64 -> 1024", NONE_EXPLAINS),
    ),
    Case(
        why="a limit where there was none is a lower one",
        good={},
        bad={"maxTokens": 64},
        candidate=failed(truncated=12),
        expected=("maxTokens: not set -> 64 (likeliest: 12 of 12 failures are cut short)",),
    ),
    Case(
        why="the limit that cuts, and not the stop sequence beside it",
        good={"maxTokens": 1024, "stopSequences": []},
        bad={"maxTokens": 256, "stopSequences": ["\n\n"]},
        candidate=failed(unparsable=34),
        report=Report(choice=Choice.FAILING, looked_at=34, clusters=(cluster(Shape.CUT_AT_LIMIT, 34, 34),)),
        expected=(
            "maxTokens: 1024 -> 256 (likeliest: 34 of 34 failures are cut at the token limit)",
            r"stopSequences: added '\n\n'",
        ),
    ),
    Case(
        why="temperature and unstable JSON",
        good={"temperature": 0.0},
        bad={"temperature": 1.3},
        candidate=failed(unparsable=9),
        expected=("temperature: 0.0 -> 1.3 (likeliest: 9 of 9 failures are JSON that cannot be parsed)",),
    ),
    Case(
        why="a lower temperature makes nothing unstable",
        good={"temperature": 1.3},
        bad={"temperature": 0.0},
        candidate=failed(unparsable=9),
        expected=("temperature: 1.3 -> 0.0", NONE_EXPLAINS),
    ),
    Case(
        why="topP alone, raised",
        good={"topP": 0.5},
        bad={"topP": 1.0},
        candidate=failed(unparsable=9),
        expected=("topP: 0.5 -> 1.0 (likeliest: 9 of 9 failures are JSON that cannot be parsed)",),
    ),
    Case(
        why="an edit of the system prompt and prose around the JSON",
        good={"temperature": 0.2, "system": "Answer in JSON only."},
        bad={"temperature": 0.7, "system": "Answer in JSON."},
        candidate=failed(unparsable=20),
        report=Report(choice=Choice.FAILING, looked_at=20, clusters=(cluster(Shape.PROSE_AROUND_JSON, 19, 20),)),
        expected=(
            f"{EDITED} (20 -> 15 characters) (likeliest: 19 of 20 failures have text around their JSON)",
            "temperature: 0.2 -> 0.7 (possible)",
        ),
    ),
    Case(
        why="a variable that callers do not send",
        good={"variables": {"name": {}}, "user": "a"},
        bad={"variables": {"name": {}, "city": {}}, "user": "b"},
        candidate=failed(validation=50),
        report=Report(choice=Choice.FAILING, looked_at=20, clusters=(cluster(Shape.EMPTY, 20, 20, kind="validation"),)),
        expected=(
            "variables: added city (likeliest: 20 of 20 failures are empty)",
            "prompt body: 1 line removed, 1 added (1 -> 1 characters) (possible)",
        ),
    ),
    Case(
        why="a stop sequence breaks no provider; another model may well be another provider",
        good={"model": "small", "stopSequences": []},
        bad={"model": "large", "stopSequences": ["}"]},
        candidate=failed(server_error=40),
        expected=(
            "model: 'small' -> 'large' (likeliest: 40 of 40 failures are errors of the provider)",
            "stopSequences: added '}'",
        ),
    ),
    Case(
        why="nothing that changed explains a provider that fails",
        good={"stopSequences": [], "temperature": 0.2},
        bad={"stopSequences": ["}"], "temperature": 1.0},
        candidate=failed(server_error=40),
        expected=("stopSequences: added '}'", "temperature: 0.2 -> 1.0", NONE_EXPLAINS),
    ),
    Case(
        why="what failed before as well is nothing to explain",
        good={"system": "a", "model": "small"},
        bad={"system": "b", "model": "large"},
        candidate=failed(validation=20, timeout=10),
        baseline=Summary(calls=1000, failures=200, errors={ErrorKind.VALIDATION: 200}),
        expected=(
            "model: 'small' -> 'large' (likeliest: 10 of 30 failures are timeouts)",
            "system prompt: 1 line removed, 1 added (1 -> 1 characters)",
        ),
    ),
    Case(
        why="latency: the model first, and more tokens allowed where nothing is known of tokens",
        good={"model": "small", "maxTokens": 256},
        bad={"model": "large", "maxTokens": 1024},
        candidate=failed(),
        metric=Metric.LATENCY,
        expected=(
            "model: 'small' -> 'large' (likeliest: another model has another speed)",
            "maxTokens: 256 -> 1024 (possible: longer answers take longer)",
        ),
    ),
    Case(
        why="latency: answers are far longer, which more tokens explain better than another model",
        good={"model": "small", "maxTokens": 256},
        bad={"model": "large", "maxTokens": 1024},
        candidate=Summary(calls=100, output_tokens=31_000),
        baseline=Summary(calls=1000, output_tokens=100_000),
        metric=Metric.LATENCY,
        expected=(
            "maxTokens: 256 -> 1024 (likeliest: output tokens 3.1 times the usual)",
            "model: 'small' -> 'large' (possible: another model has another speed)",
        ),
    ),
    Case(
        why="latency: fewer tokens allowed make nothing slower",
        good={"maxTokens": 1024, "stopSequences": []},
        bad={"maxTokens": 256, "stopSequences": ["}"]},
        candidate=failed(),
        metric=Metric.LATENCY,
        expected=("maxTokens: 1024 -> 256", "stopSequences: added '}'", NONE_EXPLAINS),
    ),
    Case(
        why="cost: another model has another price",
        good={"model": "small", "temperature": 0.2},
        bad={"model": "large", "temperature": 1.0},
        candidate=failed(),
        metric=Metric.COST,
        expected=(
            "model: 'small' -> 'large' (likeliest: another model has another price)",
            "temperature: 0.2 -> 1.0",
        ),
    ),
    Case(
        why="cost: a longer system prompt is read with every call",
        good={"system": "You are kind.", "temperature": 0.2},
        bad={"system": LONG, "temperature": 1.0},
        candidate=Summary(calls=100, input_tokens=90_000),
        baseline=Summary(calls=1000, input_tokens=500_000),
        metric=Metric.COST,
        expected=(
            f"{GROWN} (13 -> 280 characters) (likeliest: input tokens 1.8 times the usual)",
            "temperature: 0.2 -> 1.0",
        ),
    ),
    Case(
        why="cost: a stop sequence less, and answers that go on",
        good={"stopSequences": ["END"]},
        bad={"stopSequences": []},
        candidate=Summary(calls=100, output_tokens=20_000),
        baseline=Summary(calls=1000, output_tokens=100_000),
        metric=Metric.COST,
        expected=("stopSequences: removed 'END' (likeliest: output tokens 2.0 times the usual)",),
    ),
    Case(
        why="feedback: what people read is decided by the system prompt",
        good={"system": "a", "maxTokens": 5},
        bad={"system": "b", "maxTokens": 6},
        candidate=failed(),
        metric=Metric.FEEDBACK,
        expected=(
            "system prompt: 1 line removed, 1 added (1 -> 1 characters) (likeliest: it decides what people read)",
            "maxTokens: 5 -> 6",
        ),
    ),
    Case(
        why="failures of which none is known: in the order of what usually breaks, and nothing is claimed",
        good={"temperature": 0.2, "stopSequences": []},
        bad={"temperature": 1.0, "stopSequences": ["}"]},
        candidate=failed(),
        expected=("stopSequences: added '}'", "temperature: 0.2 -> 1.0"),
    ),
    Case(
        why="versions that are alike",
        good={"temperature": 0.2},
        bad={"temperature": 0.2},
        candidate=failed(timeout=5),
        expected=(),
    ),
]
CONTENT = ("system", "user", "variables")


def version(values: dict[str, object]) -> PromptVersion:
    return PromptVersion(
        id="v",
        prompt_id="p",
        label="v",
        parameters={name: value for name, value in values.items() if name not in CONTENT},
        content={name: value for name, value in values.items() if name in CONTENT},
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.why)
def test_the_change_that_explains_it_best_comes_first_and_says_why(case: Case) -> None:
    """One row a case."""
    found = symptoms(case.metric, case.candidate, case.baseline, case.report)

    said = tuple(c.sentence for c in changes(version(case.good), version(case.bad), case.metric, found))

    assert case.expected == said


def test_only_one_is_called_the_likeliest() -> None:
    """Whatever changed, and whatever is known."""
    good = version(
        {"stopSequences": [], "maxTokens": 1024, "temperature": 0.1, "topP": 0.5, "model": "a", "system": "a"}
    )
    bad = version(
        {"stopSequences": ["}"], "maxTokens": 16, "temperature": 1.5, "topP": 1.0, "model": "b", "system": "b"}
    )
    for kind in ErrorKind:
        for metric in Metric:
            found = symptoms(metric, failed(**{kind.value: 10}), None)

            said = [c.sentence for c in changes(good, bad, metric, found)]

            assert 1 >= sum("likeliest" in line for line in said)
            assert ("likeliest" in said[0]) != (NONE_EXPLAINS in said)


def test_no_reason_quotes_a_prompt() -> None:
    """Neither does the representation of a change, which may get into a log."""
    good, bad = version({"system": "CANARY one"}), version({"system": "CANARY two"})

    found = changes(good, bad, Metric.SUCCESS, symptoms(Metric.SUCCESS, failed(validation=5), None))

    assert "CANARY" not in repr(found)
