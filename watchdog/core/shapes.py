"""
The shape of one failing call: how its output is broken, or why there is none.

Shapes are told apart by plain signs, most telling first. Where nothing tells, the shape says no more than that.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from watchdog.core.model import ErrorKind

if TYPE_CHECKING:
    from watchdog.core.model import Call, Payload


class Shape(Enum):
    CUT_AT_LIMIT = "cut_at_limit"  # by the token limit
    CUT_AT_STOP = "cut_at_stop"  # by a stop sequence
    CUT = "cut"  # by something that the platform does not tell
    FENCED_JSON = "fenced_json"  # good JSON in a code fence
    PROSE_AROUND_JSON = "prose_around_json"
    MALFORMED_JSON = "malformed_json"  # it has an end, and is wrong before it
    KEY_MISSING = "key_missing"  # good JSON without a key that is asked for
    NOT_JSON = "not_json"  # JSON is asked for, and there is none
    REFUSED_JSON = "refused_json"  # good JSON that the checks refuse
    REFUSED_TEXT = "refused_text"  # any other text that the checks refuse
    EMPTY = "empty"
    REFUSAL = "refusal"  # the model declines
    FILTERED = "filtered"  # the provider's filter stopped it
    TIMEOUT = "timeout"
    RATE_LIMIT = "rate_limit"
    PROVIDER = "provider"  # 5xx, no output
    CLIENT = "client"  # the request itself was refused
    LONG_OUTPUT = "long_output"  # of slow or dear calls: far more tokens than usual
    LONG_INPUT = "long_input"
    USUAL_LENGTH = "usual_length"
    UNREAD = "unread"  # the platform did not show the body


CUTS = frozenset({Shape.CUT_AT_LIMIT, Shape.CUT_AT_STOP, Shape.CUT})
# A call that was cut, in any of these words of providers.
_AT_LIMIT = frozenset({"length", "max_tokens", "max_output_tokens", "max_token", "token_limit", "maxtokens"})
_AT_STOP = frozenset(
    {"stop", "stop_sequence", "stopsequence", "stop_sequences", "eos", "end_turn", "finish_reason_stop"}
)
_FILTER = frozenset({"content_filter", "safety", "refusal", "recitation", "prohibited_content", "guardrail_intervened"})
_NO_OUTPUT = {
    ErrorKind.TIMEOUT: Shape.TIMEOUT,
    ErrorKind.RATE_LIMIT: Shape.RATE_LIMIT,
    ErrorKind.SERVER_ERROR: Shape.PROVIDER,
    ErrorKind.CLIENT_ERROR: Shape.CLIENT,
}
_DECLINES = re.compile(
    r"""(?:i['\u2019]?m|i\s am) \s (?:so \s|very \s|really \s)? (?:sorry|unable|afraid|not \s able)
      | i \s (?:cannot|can['\u2019]?t|can \s not|won['\u2019]?t|will \s not|must \s decline)
      | (?:sorry|apologies|unfortunately), \s (?:but \s)? i \b
      | as \s an? \s (?:ai|artificial|language \s model)""",
    re.VERBOSE | re.IGNORECASE,
)
_DECLINES_WITHIN = 160
_FENCE = re.compile(r"```[A-Za-z0-9_-]{0,20}[ \t]*\n(.*?)(?:```|\Z)", re.DOTALL)
# Strings, closed or cut, and brackets; possessive, so that quotes without a partner cost no second look.
_JSON_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+(?P<closed>")?|[{}\[\]]', re.DOTALL)
_MISSING_KEY = re.compile(
    r"""missing \s+ (?:required \s+|the \s+)? (?:key|field|property|properties|attribute)s? \s* :? \s*
        ["'`]?(?P<a>\w{1,40})
      | ["'`](?P<b>\w{1,40})["'`] \s+ is \s+ (?:a \s+)? (?:required|missing)
      | (?:key|field|property) \s+ ["'`]?(?P<c>\w{1,40})["'`]? \s+ (?:is \s+)? (?:required|missing)
      | required \s+ (?:key|field|property) \s+ ["'`]?(?P<d>\w{1,40})["'`]? \s+ (?:is \s+)? missing""",
    re.VERBOSE | re.IGNORECASE,
)
_MOST_OF_A_MESSAGE = 2000
# No answer is so long that its end matters beyond this; the parser sees no more of a hostile one.
_LONGEST_OUTPUT = 2**20


class Json(Enum):
    """What of an output is JSON."""

    GOOD = "good"
    FENCED = "fenced"
    AROUND = "around"
    CUT = "cut"
    MALFORMED = "malformed"
    NONE = "none"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """
    Attributes:
        detail: what makes calls of one shape alike beside it: the token limit, or the missing key; empty for none.
        json: whether what was cut is JSON.
    """

    shape: Shape
    detail: str = ""
    json: bool = False


def shape_of(call: Call, payload: Payload | None, *, wants_json: bool) -> Seen:
    """
    The shape of one call that failed.

    Args:
        payload: None where the platform did not show it.
        wants_json: JSON is asked for, as far as anything tells.
    """
    if payload is None:
        return Seen(shape=_NO_OUTPUT.get(call.error_kind or ErrorKind.OTHER, Shape.UNREAD))
    output = (payload.output or "")[:_LONGEST_OUTPUT].strip()
    if not output:
        if payload.finish_reason in _FILTER:
            return Seen(shape=Shape.FILTERED)
        return Seen(shape=_NO_OUTPUT.get(call.error_kind or ErrorKind.OTHER, Shape.EMPTY))
    # Half a stream may have come before it broke: the error tells more than what there is.
    if call.error_kind in _NO_OUTPUT:
        return Seen(shape=_NO_OUTPUT[call.error_kind])
    if payload.finish_reason in _FILTER:
        return Seen(shape=Shape.FILTERED)
    json_part = json_in(output)
    if json_part is Json.CUT or (json_part is Json.NONE and _was_cut(call, payload)):
        return _cut(call, payload, json=json_part is Json.CUT)
    if json_part in (Json.GOOD, Json.FENCED) and (key := missing_key(payload.message)):
        return Seen(shape=Shape.KEY_MISSING, detail=key)
    match json_part:
        case Json.FENCED:
            return Seen(shape=Shape.FENCED_JSON)
        case Json.AROUND:
            return Seen(shape=Shape.PROSE_AROUND_JSON)
        case Json.MALFORMED:
            return Seen(shape=Shape.MALFORMED_JSON)
        case Json.GOOD:
            return Seen(shape=Shape.REFUSED_JSON)
        case _:
            if _DECLINES.search(output[:_DECLINES_WITHIN]):
                return Seen(shape=Shape.REFUSAL)
            return Seen(shape=Shape.NOT_JSON if wants_json else Shape.REFUSED_TEXT)


def json_in(output: str) -> Json:
    """What of it is JSON; a number or a word alone is not taken for any. Linear in its length."""
    body = output.strip()
    if body.startswith(("{", "[")):
        return _json_from(body)
    if (fence := _FENCE.search(body)) is not None and fence[1].lstrip().startswith(("{", "[")):
        inside = _json_from(fence[1].strip())
        return Json.FENCED if inside is Json.GOOD else inside
    start = body.find("{")
    if start < 0:
        return Json.NONE
    match _json_from(body[start:]):
        case Json.GOOD | Json.AROUND:
            return Json.AROUND
        case Json.CUT:
            return Json.CUT
        case _:
            # Braces in prose are no JSON.
            return Json.NONE


def missing_key(message: str) -> str:
    """The key that a check's message says is missing; empty where it names none."""
    found = _MISSING_KEY.search(message[:_MOST_OF_A_MESSAGE])
    return "" if found is None else next(key for key in found.groups() if key)


def _json_from(body: str) -> Json:
    try:
        value, end = json.JSONDecoder().raw_decode(body)
    except RecursionError:
        return Json.MALFORMED
    except ValueError:
        if _open_at_end(body):
            return Json.CUT
        # `[Yes]` and `[1]` are how people write, `{"a" 1}` is broken JSON.
        return Json.MALFORMED if body.startswith("{") or (body.endswith(("]", "}")) and '"' in body) else Json.NONE
    if isinstance(value, list) and not any(isinstance(item, dict | list) for item in value) and body[end:].strip():
        return Json.NONE
    return Json.GOOD if not body[end:].strip() else Json.AROUND


def _open_at_end(body: str) -> bool:
    """Whether brackets or a string are still open where it ends, and nothing was closed that was not open."""
    depth = 0
    for token in _JSON_TOKEN.finditer(body):
        text = token[0]
        if text[0] == '"':
            if token["closed"] is None:
                return True
        elif text in "{[":
            depth += 1
        else:
            depth -= 1
            if depth <= 0:
                return False
    return depth > 0


def _was_cut(call: Call, payload: Payload) -> bool:
    return (
        call.error_kind is ErrorKind.TRUNCATED
        or payload.finish_reason in _AT_LIMIT
        or (payload.max_tokens is not None and call.output_tokens == payload.max_tokens)
    )


def _cut(call: Call, payload: Payload, *, json: bool) -> Seen:
    limit = payload.max_tokens
    if payload.finish_reason in _AT_LIMIT or (limit is not None and call.output_tokens == limit):
        tokens = limit or call.output_tokens
        return Seen(shape=Shape.CUT_AT_LIMIT, detail="" if tokens is None else str(tokens), json=json)
    # A model that ends by itself closes its brackets; one that was stopped, with stop sequences set, met one of them.
    if payload.stop_sequences and (payload.finish_reason in _AT_STOP or not payload.finish_reason):
        return Seen(shape=Shape.CUT_AT_STOP, json=json)
    return Seen(shape=Shape.CUT, json=json)
