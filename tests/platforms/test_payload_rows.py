"""Bodies in all the usual shapes, and odd ones, become what is known of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchdog.platforms.fields import Unusable
from watchdog.platforms.payload_rows import read_payload

OPENAI = {
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "length"}],
    "usage": {"completion_tokens": 2},
}
ANTHROPIC = {"content": [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}], "stop_reason": "max_tokens"}
GEMINI = {"candidates": [{"content": {"parts": [{"text": "Hello"}], "role": "model"}, "finishReason": "MAX_TOKENS"}]}


@pytest.mark.parametrize(
    ("response", "output", "finish_reason"),
    [
        ({"output": "Hello", "finishReason": "stop"}, "Hello", "stop"),
        ({"output": {"a": 1}}, '{"a": 1}', ""),
        ({"output": ""}, "", ""),
        (OPENAI, "Hello", "length"),
        ({"choices": [{"text": "Hello"}, {"text": "Hullo"}]}, "Hello", ""),
        (ANTHROPIC, "Hello", "max_tokens"),
        (GEMINI, "Hello", "max_tokens"),
        (json.dumps(OPENAI), "Hello", "length"),
        ("Hello", "Hello", ""),
        ('{"reply": "Hello"}', '{"reply": "Hello"}', ""),
        ('{"reply": "Hel', '{"reply": "Hel', ""),
        ({"body": {"output": "Hello"}}, "Hello", ""),
        ({"error": {"message": "no"}}, None, ""),
        ({"message": "the provider answered 503"}, None, ""),
        ({"output": 7}, None, ""),
        ({"finishReason": "x" * 50}, None, ""),
        ({"finishReason": 3}, None, ""),
        ([], None, ""),
        (None, None, ""),
        (7, None, ""),
    ],
)
def test_the_output_is_found_in_every_usual_shape(response: object, output: str | None, finish_reason: str) -> None:
    """A gateway's own, the common providers', and JSON in a text; what is odd is absent."""
    payload = read_payload({"id": "c", "response": response}, "c")

    assert (output, finish_reason) == (payload.output, payload.finish_reason)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"response": {"message": "too long"}}, "too long"),
        ({"response": {"error": {"code": 1, "message": "too long"}}}, "too long"),
        ({"response": {"error": "too long"}}, "too long"),
        ({"response": None, "errorMessage": "too long"}, "too long"),
        ({"response": {"choices": [{"message": {"content": "too long"}}]}}, ""),
    ],
)
def test_what_was_said_about_the_failure_is_found(row: dict[str, Any], message: str) -> None:
    """In the response, or beside it; an answer is no message."""
    assert message == read_payload(row, "c").message


@pytest.mark.parametrize(
    ("request_body", "expected"),
    [
        ({"maxTokens": 9, "stopSequences": ["}"], "timeoutMs": 30_000}, (9, ("}",), 30_000, False)),
        ({"max_tokens": 9, "stop": "END", "messages": []}, (9, ("END",), None, False)),
        ({"parameters": {"max_output_tokens": 9}, "system": "Answer in JSON."}, (9, (), None, True)),
        ({"response_format": {"type": "json_object"}}, (None, (), None, True)),
        ('{"messages": [], "max_tokens": 9}', (9, (), None, False)),
        ({"maxTokens": "9", "stopSequences": [1, "", "x"]}, (None, ("x",), None, False)),
        ({"maxTokens": True, "stop": 3}, (None, (), None, False)),
        ("as a text", (None, (), None, False)),
        (None, (None, (), None, False)),
    ],
)
def test_the_parameters_of_the_call_are_found(request_body: object, expected: tuple[object, ...]) -> None:
    """In the request or a table of it, in any writing; the text of the request stays behind."""
    payload = read_payload({"request": request_body}, "c")

    assert expected == (payload.max_tokens, payload.stop_sequences, payload.timeout_ms, payload.wants_json)


def test_another_call_than_was_asked_for_is_not_taken() -> None:
    """The error names neither."""
    with pytest.raises(Unusable) as caught:
        read_payload({"id": "other", "response": {"output": "CANARY"}}, "c")

    assert "it is another call than was asked for" == caught.value.reason


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["output", "choices", "message", "content", "error", "stop", "maxTokens", "text", "parts"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(request_body=JSON_VALUES, response=JSON_VALUES)
def test_no_shape_is_an_error(request_body: object, response: object) -> None:
    """Whatever a platform writes there."""
    payload = read_payload({"request": request_body, "response": response}, "c")

    assert payload.output is None or isinstance(payload.output, str)


def test_a_body_that_nests_without_end_is_no_error() -> None:
    """Within what a parser takes."""
    deep: Any = "Hello"
    for _ in range(900):
        deep = {"message": [deep]}

    assert read_payload({"request": deep, "response": deep}, "c").output is None
