"""Failing calls by error and shape, in counts and plain words."""

from __future__ import annotations

import json
import random
import time
from dataclasses import replace
from typing import Any

import pytest

from tests.builders import SECOND, T0, call
from watchdog.core.clusters import Choice, Looked, Report, Usual, report, told
from watchdog.core.model import Call, ErrorKind, Payload
from watchdog.core.patterns import compiled
from watchdog.core.shapes import Json, Shape, json_in, missing_key

KINDS = {
    "OUTPUT_UNPARSABLE": ErrorKind.UNPARSABLE,
    "OUTPUT_TRUNCATED": ErrorKind.TRUNCATED,
    "VALIDATION_FAILED": ErrorKind.VALIDATION,
    "PROVIDER_ERROR": ErrorKind.SERVER_ERROR,
    "PROVIDER_TIMEOUT": ErrorKind.TIMEOUT,
    "RATE_LIMITED": ErrorKind.RATE_LIMIT,
    "BAD_REQUEST": ErrorKind.CLIENT_ERROR,
    "ODD": ErrorKind.OTHER,
}
CUT = '{"reply": "Dear customer, your par'


def failing(i: int = 0, code: str = "OUTPUT_UNPARSABLE", **given: Any) -> Call:
    return replace(call(i, ok=False, at=T0 + i * SECOND), error_kind=KINDS[code], error_code=code, **given)


def looked(
    output: str | None = None, code: str = "OUTPUT_UNPARSABLE", *, i: int = 0, tokens: int | None = None, **given: Any
) -> Looked:
    return Looked(
        call=failing(i, code, output_tokens=tokens), payload=Payload(call_id=f"call-{i}", output=output, **given)
    )


@pytest.mark.parametrize(
    ("each", "shape", "sentence"),
    [
        (looked(CUT, max_tokens=256, tokens=256), Shape.CUT_AT_LIMIT, "broken JSON: cut at 256 tokens"),
        (looked(CUT, max_tokens=256, finish_reason="length"), Shape.CUT_AT_LIMIT, "broken JSON: cut at 256 tokens"),
        (looked(CUT, finish_reason="max_tokens"), Shape.CUT_AT_LIMIT, "broken JSON: cut at the token limit"),
        (
            looked(CUT, max_tokens=256, tokens=40, stop_sequences=("}",), finish_reason="stop"),
            Shape.CUT_AT_STOP,
            "JSON cut in half at a stop sequence",
        ),
        (looked(CUT, stop_sequences=("}",)), Shape.CUT_AT_STOP, "JSON cut in half at a stop sequence"),
        (looked(CUT), Shape.CUT, "broken JSON: cut"),
        (looked(CUT, finish_reason="stop"), Shape.CUT, "broken JSON: cut"),
        (looked("Sure! Here it is: " + CUT), Shape.CUT, "broken JSON: cut"),
        (looked("```json\n" + CUT), Shape.CUT, "broken JSON: cut"),
        (
            looked("Once upon a", "OUTPUT_TRUNCATED", max_tokens=3, tokens=3),
            Shape.CUT_AT_LIMIT,
            "text cut at 3 tokens",
        ),
        (looked('Here you go: {"a": 1} Enjoy!'), Shape.PROSE_AROUND_JSON, "prose around JSON"),
        (looked('{"a": 1}\nEnjoy!'), Shape.PROSE_AROUND_JSON, "prose around JSON"),
        (looked('```json\n{"a": 1}\n```'), Shape.FENCED_JSON, "JSON in a code fence"),
        (looked("{'a': 1}"), Shape.MALFORMED_JSON, "malformed JSON, not cut"),
        (looked('{"a": 1,, "b": 2}'), Shape.MALFORMED_JSON, "malformed JSON, not cut"),
        (looked("The parcel is late."), Shape.NOT_JSON, "not JSON at all"),
        (looked("The parcel is late.", "VALIDATION_FAILED"), Shape.REFUSED_TEXT, "text that the checks refuse"),
        (looked("The parcel is late.", "VALIDATION_FAILED", wants_json=True), Shape.NOT_JSON, "not JSON at all"),
        (looked("[Yes]", "VALIDATION_FAILED"), Shape.REFUSED_TEXT, "text that the checks refuse"),
        (looked('{"a": 1}', "VALIDATION_FAILED"), Shape.REFUSED_JSON, "valid JSON that the checks refuse"),
        (
            looked('{"a": 1}', "VALIDATION_FAILED", message="'order_id' is a required property"),
            Shape.KEY_MISSING,
            "valid JSON, key missing: order_id",
        ),
        (looked("", "VALIDATION_FAILED"), Shape.EMPTY, "empty output"),
        (looked(" \n", "OUTPUT_UNPARSABLE"), Shape.EMPTY, "empty output"),
        (looked(None, "ODD"), Shape.EMPTY, "empty output"),
        (looked("I'm sorry, but I can't help with that."), Shape.REFUSAL, "the model refuses to answer"),
        (looked("As an AI language model, I", "VALIDATION_FAILED"), Shape.REFUSAL, "the model refuses to answer"),
        (looked("", finish_reason="content_filter"), Shape.FILTERED, "stopped by the provider's filter"),
        (looked("", "PROVIDER_ERROR"), Shape.PROVIDER, "5xx from the provider, no output"),
        (looked(CUT, "PROVIDER_ERROR"), Shape.PROVIDER, "5xx from the provider, no output"),
        (looked("", "RATE_LIMITED"), Shape.RATE_LIMIT, "rate limit, no output"),
        (looked("", "BAD_REQUEST"), Shape.CLIENT, "request refused, no output"),
        (looked("", "PROVIDER_TIMEOUT", timeout_ms=30_000), Shape.TIMEOUT, "timeout at 30.0 s"),
        (Looked(call=failing(0, "PROVIDER_TIMEOUT"), payload=None), Shape.TIMEOUT, "timeout at 800 ms"),
        (Looked(call=failing(), payload=None), Shape.UNREAD, "body not shown by the platform"),
    ],
)
def test_one_call_has_the_shape_that_is_most_telling(each: Looked, shape: Shape, sentence: str) -> None:
    """One row a shape, or a way to see it."""
    (cluster,) = report([each], Choice.FAILING).clusters

    assert shape is cluster.shape
    assert cluster.sentence.startswith(sentence)
    assert cluster.sentence.endswith(", 1 of 1")


def mixed() -> list[Looked]:
    cut = [looked(CUT + "x" * (i % 7), i=i, tokens=256, max_tokens=256) for i in range(31)]
    late = [looked(None, "PROVIDER_TIMEOUT", i=40 + i, timeout_ms=30_000) for i in range(2)]
    return [*cut, *late, looked("no", "VALIDATION_FAILED", i=50)]


def test_clusters_come_largest_first_with_their_counts() -> None:
    """The example of the specification."""
    found = report(mixed(), Choice.FAILING)

    assert (
        "broken JSON: cut at 256 tokens, 31 of 34",
        "timeout at 30.0 s (PROVIDER_TIMEOUT), 2 of 34",
        "not JSON at all (VALIDATION_FAILED), 1 of 34",
    ) == tuple(c.sentence for c in found.clusters)
    assert (34, 0) == (found.looked_at, found.unread)
    sentences = "; ".join(cluster.sentence for cluster in found.clusters)
    assert (f"34 failing calls of v2: {sentences}.",) == told(found, "v2", examples=False)


def test_the_order_in_which_calls_come_changes_nothing() -> None:
    """Neither clusters nor examples."""
    calls = mixed()
    expected = report(calls, Choice.FAILING)
    for seed in range(5):
        random.Random(seed).shuffle(calls)  # noqa: S311 - an order, no secret

        assert expected == report(calls, Choice.FAILING)


def test_calls_that_are_all_cut_at_the_same_place_say_where() -> None:
    """Without a limit that anybody told; two calls are no evidence of one."""
    by_tokens = [looked(CUT + "x" * i, i=i, tokens=64) for i in range(3)]
    by_length = [looked(CUT, i=i, tokens=i) for i in range(3)]

    assert "broken JSON: all cut at 64 tokens, 3 of 3" == report(by_tokens, Choice.FAILING).clusters[0].sentence
    assert f"broken JSON: all cut after {len(CUT)} characters, 3 of 3" == (
        report(by_length, Choice.FAILING).clusters[0].sentence
    )
    assert "broken JSON: cut, 2 of 2" == report(by_tokens[:2], Choice.FAILING).clusters[0].sentence


def test_examples_are_the_newest_two_redacted_and_cut() -> None:
    """Alike ones once; the message of the platform too."""
    long = '{"to": "canary@example.com", "text": "' + "lorem ipsum " * 100 + "CUST-123456"
    calls = [looked(f"{long} {i}", i=i, message="sent by canary@example.com") for i in range(5)]
    (cluster,) = report(calls, Choice.FAILING, patterns=compiled(("CUST-[0-9]{6}",))).clusters

    newest, older = cluster.examples
    assert ("call-4", "call-3") == (newest.call_id, older.call_id)
    assert newest.output.startswith('{"to": "[mail]", "text": "lorem ipsum')
    assert newest.output.endswith("[hidden] 4")
    assert "more characters …" in newest.output
    assert len(newest.output) < 450
    assert "sent by [mail]" == newest.message

    (same,) = report([looked(CUT, i=i) for i in range(5)], Choice.FAILING).clusters
    assert 1 == len(same.examples)


def test_no_sentence_holds_text_of_a_body() -> None:
    """The code and the missing key are names, and even they are redacted."""
    hostile = "canary@example.com"
    calls = [
        Looked(call=replace(failing(), error_code=f"BAD {hostile}"), payload=Payload(call_id="a", output=hostile)),
        looked('{"a": 1}', "VALIDATION_FAILED", i=1, message=f"missing key: phk_0123456789abcdef {hostile}"),
        looked(hostile + " CANARY text", i=2, message=hostile),
    ]
    found = report(calls, Choice.FAILING)

    said = " ".join((*told(found, "v2", examples=False), *(c.sentence for c in found.clusters)))
    assert "canary" not in said.lower()
    assert "phk_" not in said
    assert "valid JSON, key missing: [secret]" in said


def test_examples_are_told_only_on_request() -> None:
    """Two at most, whatever the number of clusters."""
    found = report(mixed(), Choice.FAILING)

    assert 1 == len(told(found, "v2", examples=False))
    lines = told(found, "v2", examples=True)
    assert 3 == len(lines)
    assert lines[1].startswith('Example (redacted), call call-30: {"reply": "Dear customer')


def test_many_shapes_are_told_up_to_five() -> None:
    """The rest is counted."""
    outputs = [CUT, "no", "", '{"a": 1}', "{'a'}", 'x {"a": 1}', '```\n{"a": 1}\n```']
    found = report([looked(output, i=i) for i, output in enumerate(outputs)], Choice.FAILING)

    assert 7 == len(found.clusters)
    assert told(found, "v2", examples=False)[0].endswith("; and 2 other shapes.")


def slow(i: int, **given: Any) -> Looked:
    return Looked(call=call(i, at=T0 + i * SECOND, **given), payload=Payload(call_id=f"call-{i}", output="x"))


def test_slow_calls_are_told_by_their_tokens() -> None:
    """More to write, more to read, or neither."""
    usual = Usual(output_tokens=100.0, input_tokens=50.0)
    calls = [
        *(slow(i, output_tokens=310, input_tokens=50) for i in range(5)),
        *(slow(10 + i, output_tokens=100, input_tokens=200) for i in range(3)),
        *(slow(20 + i, output_tokens=100, input_tokens=50) for i in range(2)),
    ]
    found = report(calls, Choice.SLOWEST, usual=usual)

    assert (
        "output tokens 3.1 times the usual (310 against 100), 5 of 10",
        "input tokens 4.0 times the usual (200 against 50), 3 of 10",
        "no more tokens than usual: what answers is slower or dearer itself, 2 of 10",
    ) == tuple(c.sentence for c in found.clusters)
    assert told(found, "v2", examples=False)[0].startswith("The 10 slowest calls of v2: output tokens")
    assert [Shape.USUAL_LENGTH] == [c.shape for c in report(calls[:5], Choice.DEAREST).clusters]


def test_a_report_comes_back_as_it_went_in() -> None:
    """Through JSON, as a database keeps it."""
    found = report(mixed(), Choice.FAILING)

    assert found == Report.from_json(json.loads(json.dumps(found.to_json())))
    assert Report(choice=Choice.DEAREST, failed="x") == Report.from_json(
        json.loads(json.dumps(Report(choice=Choice.DEAREST, failed="x").to_json()))
    )


@pytest.mark.parametrize(
    ("expected", "output"),
    [
        (Json.GOOD, ' {"a": [1, 2]} '),
        (Json.GOOD, "[1, 2]"),
        (Json.CUT, '{"a": [1, 2'),
        (Json.CUT, '{"a": "}'),
        (Json.CUT, '{"a": "\\"}'),
        (Json.CUT, "["),
        (Json.AROUND, '{"a": 1} {"b": 2}'),
        (Json.MALFORMED, '{"a": 1]}'),
        (Json.MALFORMED, "[" * 100_000 + "]" * 100_000),
        (Json.MALFORMED, '{"a": ' + "9" * 5000 + "}"),
        (Json.NONE, "[1] says so"),
        (Json.NONE, "a {placeholder} in prose"),
        (Json.NONE, "42"),
        (Json.NONE, ""),
    ],
)
def test_what_of_an_output_is_json(expected: Json, output: str) -> None:
    """Cut is what was never closed; malformed is what was."""
    assert expected is json_in(output)


@pytest.mark.parametrize("unit", ['"', "{", '\\"', "```\n", "[{", "{}", '{"a":', "} "])
def test_hostile_outputs_cost_no_time(unit: str) -> None:
    """A mebibyte that was made for it."""
    output = unit * (2**20 // len(unit))
    started = time.process_time()
    for each in (output, '{"a": "' + output, "x" + output):
        report([looked(each)], Choice.FAILING)

    assert time.process_time() - started < 10.0


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        ("order_id", "'order_id' is a required property"),
        ("total", "missing required key: total"),
        ("total", 'Missing field "total" in output'),
        ("total", 'property "total" is missing'),
        ("total", "required key `total` missing"),
        ("", "the answer is too long"),
        ("", ""),
        ("", "missing key: " + " " * 100_000),
    ],
)
def test_the_missing_key_is_read_from_what_the_check_says(expected: str, message: str) -> None:
    """In the usual wordings."""
    assert expected == missing_key(message)
