"""
One execution log with its bodies as a `Payload`. Pure.

PromptHelm documents that the bodies are there and not how they look, so that all the usual shapes are understood: a
gateway's own, the common providers' answers handed through, objects and JSON in a text. What is odd is absent.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast

from watchdog.core.model import Payload
from watchdog.platforms.fields import LARGEST_COUNT, Row, Unusable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_DEEPEST = 6
_LONGEST_WORD = 40
_MOST_STOPS = 16
_OUTPUTS = ("output", "text", "content", "completion", "outputText", "output_text", "generated_text", "result")
# What an answer may lie in: one after the other, outermost first.
_AROUND_OUTPUT = ("message", "choices", "candidates", "parts", "response", "body", "data", "delta")
_FINISH = ("finishReason", "finish_reason", "stopReason", "stop_reason")
_MESSAGES = ("message", "errorMessage", "error_message", "detail")
_MAX_TOKENS = ("maxTokens", "max_tokens", "max_output_tokens", "maxOutputTokens", "max_completion_tokens")
_STOPS = ("stopSequences", "stop_sequences", "stop")
_TIMEOUTS = ("timeoutMs", "timeout_ms")
_AROUND_PARAMETERS = ("parameters", "overrides", "config", "options", "generationConfig", "body")


def read_payload(row: Row, call_id: str) -> Payload:
    """
    Raises: Unusable: it is another call's.
    """
    if row.get("id") not in (None, call_id):
        raise Unusable("it is another call than was asked for")
    request, response = _opened(row.get("request")), _opened(row.get("response"))
    parameters = (*_parameters(request), row)
    return Payload(
        call_id=call_id,
        output=_output(response),
        message=_message(response) or _message({**row, "request": None, "response": None}),
        finish_reason=_finish_reason(response),
        max_tokens=_first_count(parameters, _MAX_TOKENS),
        stop_sequences=_stops(parameters),
        timeout_ms=_first_count(parameters, _TIMEOUTS),
        wants_json=_speaks_of_json(row.get("request")),
    )


def _opened(body: object) -> object:
    """A body that is JSON in a text, as what it says."""
    if isinstance(body, str) and body.lstrip()[:1] == "{":
        try:
            value = json.loads(body)
        except (ValueError, RecursionError):
            return body
        # An answer that is itself JSON is a text all the same.
        return value if isinstance(value, dict) and _known(value) else body
    return body


def _known(value: Mapping[str, object]) -> bool:
    return any(key in value for key in (*_OUTPUTS, *_AROUND_OUTPUT, *_MAX_TOKENS, "messages", "system", "user"))


def _output(response: object, depth: int = 0) -> str | None:
    match response:
        case str():
            return response
        case list() if depth < _DEEPEST:
            # Parts of one text, or the first of several choices.
            parts = [found for part in response if (found := _output(part, depth + 1)) is not None]
            whole = all(isinstance(part, str) or (isinstance(part, dict) and "text" in part) for part in response)
            return None if not parts else "".join(parts) if whole else parts[0]
        case dict() if depth < _DEEPEST:
            for key in _OUTPUTS:
                if (value := response.get(key)) is not None:
                    inside = _output(value, depth + 1) if key == "content" else None
                    return _as_text(value, depth) if inside is None else inside
            for key in _AROUND_OUTPUT:
                # `message` is a text where a gateway says what went wrong.
                if isinstance(inner := response.get(key), dict | list):
                    # Of several choices the first is the answer.
                    first = inner[:1] if isinstance(inner, list) and key in ("choices", "candidates") else inner
                    found = _output(first, depth + 1)
                    if found is not None:
                        return found
    return None


def _as_text(value: object, depth: int) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and (found := _output(value, depth + 1)) is not None:
        return found
    if isinstance(value, dict | list):
        # The gateway parsed it: whoever looks at shapes wants it as it was written, near enough.
        try:
            return json.dumps(value, ensure_ascii=False)
        except RecursionError:
            return None
    return None


def _message(response: object) -> str:
    if not isinstance(response, dict):
        return ""
    error = response.get("error")
    if isinstance(error, str):
        return error
    if isinstance(error, dict) and (said := _first_text((error,), _MESSAGES)):
        return said
    return _first_text((response,), _MESSAGES)


def _finish_reason(response: object) -> str:
    places: list[Row] = []
    if isinstance(response, dict):
        places.append(response)
        for key in ("choices", "candidates"):
            listed = response.get(key)
            if isinstance(listed, list) and listed and isinstance(listed[0], dict):
                places.append(cast("Row", listed[0]))
    word = _first_text(places, _FINISH).strip().lower()
    return word if len(word) <= _LONGEST_WORD and word.isprintable() else ""


def _parameters(request: object) -> Iterator[Row]:
    if isinstance(request, dict):
        yield request
        for key in _AROUND_PARAMETERS:
            if isinstance(inner := request.get(key), dict):
                yield inner


def _first_text(places: tuple[Row, ...] | list[Row], keys: tuple[str, ...]) -> str:
    for place in places:
        for key in keys:
            if isinstance(value := place.get(key), str):
                return value
    return ""


def _first_count(places: tuple[Row, ...], keys: tuple[str, ...]) -> int | None:
    for place in places:
        for key in keys:
            value = place.get(key)
            if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= LARGEST_COUNT:
                return value
    return None


def _stops(places: tuple[Row, ...]) -> tuple[str, ...]:
    for place in places:
        for key in _STOPS:
            value = place.get(key)
            if isinstance(value, str) and value:
                return (value,)
            if isinstance(value, list | tuple) and value:
                return tuple(stop for stop in value[:_MOST_STOPS] if isinstance(stop, str) and stop)
    return ()


def _speaks_of_json(request: object) -> bool:
    if isinstance(request, str):
        return "json" in request.lower()
    try:
        return request is not None and "json" in json.dumps(request).lower()
    except RecursionError:
        return False
