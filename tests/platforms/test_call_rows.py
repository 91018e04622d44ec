"""Rows of the execution logs: what is believed, and the reason where one is not."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.platforms.constants import NOW
from watchdog.core.model import Call, ErrorKind
from watchdog.platforms.call_rows import CallQuery, read_call
from watchdog.platforms.fields import Unusable

GOOD = {
    "id": "c1",
    "promptId": "p1",
    "versionId": "v1",
    "environment": "production",
    "model": "gpt-4o",
    "provider": "openai",
    "status": "success",
    "errorCode": None,
    "latencyMs": 1500,
    "cost": 0.002,
    "inputTokens": 100,
    "outputTokens": 20,
    "cachedTokens": 0,
    "createdAt": "2026-11-20T12:00:00.250Z",
}
QUERY = CallQuery(
    prompt_id="p1",
    environment="production",
    since=NOW - timedelta(hours=1),
    until=NOW + timedelta(hours=1),
    latest_start=NOW + timedelta(minutes=5),
)
NAN, INFINITY = float("nan"), float("inf")


def read(**changes: Any) -> Call:
    call = read_call(GOOD | changes, QUERY)
    assert call is not None
    return call


def test_a_good_row_becomes_a_call() -> None:
    """Started when it was recorded, less the time that it took."""
    assert (
        Call(
            id="c1",
            prompt_id="p1",
            version_id="v1",
            environment="production",
            started_at=datetime(2026, 11, 20, 11, 59, 58, 750_000, tzinfo=UTC),
            recorded_at=datetime(2026, 11, 20, 12, 0, 0, 250_000, tzinfo=UTC),
            latency_ms=1500.0,
            ok=True,
            cost_usd=0.002,
            input_tokens=100,
            output_tokens=20,
            cached_tokens=0,
            model="gpt-4o",
            provider="openai",
        )
        == read()
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"id": None}, "missing id"),
        ({"id": ""}, "missing id"),
        ({"id": 7}, "id is not text"),
        ({"id": "a\nb"}, "id is not an id"),
        ({"id": "a\0"}, "id is not an id"),
        ({"id": "\ud800"}, "id is not an id"),
        ({"id": "x" * 257}, "id is not an id"),
        ({"promptId": "p2"}, "of another prompt"),
        ({"promptId": None}, "missing promptId"),
        ({"environment": None}, "missing environment"),
        ({"versionId": 3}, "versionId is not text"),
        ({"latencyMs": -1}, "negative latency"),
        ({"latencyMs": -0.001}, "negative latency"),
        ({"latencyMs": "1500"}, "latencyMs is not a number"),
        ({"latencyMs": True}, "latencyMs is not a number"),
        ({"latencyMs": NAN}, "latency is not finite"),
        ({"latencyMs": INFINITY}, "latency is not finite"),
        ({"latencyMs": 10**400}, "latency is not finite"),
        ({"latencyMs": 86_400_001}, "latency of more than a day"),
        ({"cost": NAN}, "cost is not finite"),
        ({"cost": -INFINITY}, "cost is not finite"),
        ({"cost": -0.01}, "negative cost"),
        ({"cost": "0.01"}, "cost is not a number"),
        ({"cost": False}, "cost is not a number"),
        ({"inputTokens": -1}, "negative inputTokens"),
        ({"inputTokens": 1.5}, "inputTokens is not a whole number"),
        ({"outputTokens": True}, "outputTokens is not a whole number"),
        ({"cachedTokens": 2**63}, "cachedTokens is out of range"),
        ({"createdAt": None}, "missing createdAt"),
        ({"createdAt": 1_790_000_000}, "createdAt is not text"),
        ({"createdAt": "yesterday"}, "createdAt is not a time"),
        ({"createdAt": "2026-11-20"}, "createdAt is not a time"),
        ({"createdAt": "0001-01-01T00:00:00+10:00"}, "createdAt is not a time"),
        ({"startedAt": "soon T"}, "startedAt is not a time"),
        ({"startedAt": "2026-11-20T12:05:01Z"}, "started in the future"),
        ({"createdAt": "2026-11-20T12:06:00Z", "latencyMs": 10}, "started in the future"),
        ({"status": "pending"}, "unknown status"),
        ({"status": None}, "missing status"),
        ({"status": True}, "status is not text"),
        ({"status": "error", "errorCode": ["x"]}, "errorCode is not text"),
        ({"model": "x\x1b[31m"}, "model is not a name"),
    ],
)
def test_a_row_that_cannot_be_judged_by_is_rejected(changes: dict[str, object], reason: str) -> None:
    """Never repaired, never guessed at; the reasons are few, so that they can be counted."""
    with pytest.raises(Unusable) as caught:
        read_call(GOOD | changes, QUERY)

    assert reason == caught.value.reason


def test_nan_as_servers_write_it_is_seen() -> None:
    """It is no JSON, but Python and JavaScript servers send it."""
    row = json.loads(json.dumps(GOOD | {"cost": NAN}), parse_constant=float)

    with pytest.raises(Unusable, match="cost is not finite"):
        read_call(row, QUERY)


def test_a_start_that_the_platform_tells_is_believed() -> None:
    """Queues and retries are not in the latency."""
    assert NOW - timedelta(minutes=3) == read(startedAt="2026-11-20T11:57:00Z").started_at


def test_a_time_without_offset_is_utc() -> None:
    """And one with an offset is turned into UTC."""
    assert read(createdAt="2026-11-20T12:00:00").recorded_at == NOW
    assert read(createdAt="2026-11-20T14:00:00+02:00").recorded_at == NOW


def test_a_call_up_to_five_minutes_ahead_is_believed() -> None:
    """Clocks differ."""
    assert NOW + timedelta(minutes=5) == read(startedAt="2026-11-20T12:05:00Z").started_at


def test_what_is_absent_stays_absent() -> None:
    """Zero never stands in for no data."""
    row = {key: GOOD[key] for key in ("id", "promptId", "environment", "status", "createdAt")}
    call = read_call(row, QUERY)

    assert call is not None
    assert (
        call.version_id,
        call.latency_ms,
        call.cost_usd,
        call.cached_tokens,
        call.model,
    ) == (None, None, None, None, "")


def test_a_failure_at_once_counts_although_it_has_no_latency() -> None:
    """Rejecting it would hide a wall of refused calls."""
    call = read(status="failed", errorCode=503, latencyMs=0, cost=0)

    assert (call.ok, call.latency_ms, call.cost_usd) == (False, None, 0.0)
    assert (call.error_kind, call.error_code) == (ErrorKind.SERVER_ERROR, "503")


def test_a_success_carries_no_error() -> None:
    """A retry inside the gateway may have left its code behind."""
    call = read(errorCode="TIMEOUT")

    assert (call.ok, call.error_kind, call.error_code) == (True, None, "")


@pytest.mark.parametrize(
    "changes",
    [
        {"environment": "development"},
        {"createdAt": "2026-11-20T10:59:59.999Z"},
        {"createdAt": "2026-11-20T13:00:00Z"},
    ],
)
def test_a_good_row_that_was_not_asked_for_is_left_out(changes: dict[str, object]) -> None:
    """Of another environment, or from before or after the range: nothing is wrong with it."""
    assert None is read_call(GOOD | changes, QUERY)


def segment(name: str, **changes: Any) -> str:
    call = read_call(GOOD | changes, replace(QUERY, segment_by=name))
    assert call is not None
    return call.segment


@pytest.mark.parametrize(
    ("name", "changes", "expected"),
    [
        ("task", {"metadata": {"task": "refund"}}, "refund"),
        ("task", {"labels": {"task": "refund"}}, "refund"),
        ("task", {"task": "refund"}, "refund"),
        ("model", {}, "gpt-4o"),
        ("task", {"metadata": {"task": "m"}, "labels": {"task": "l"}, "task": "r"}, "m"),
        ("task", {"metadata": {"task": None}, "labels": {"task": "l"}, "task": "r"}, "l"),
        ("task", {"metadata": None, "labels": ["task"], "task": "r"}, "r"),
        ("task", {"metadata": {"task": ["odd"]}, "labels": {"task": "l"}}, ""),
        ("customer.tier", {"metadata": {"customer": {"tier": "gold"}}}, "gold"),
        ("customer.tier", {"labels": {"customer": {"tier": "gold"}}}, "gold"),
        ("customer.tier", {"customer": {"tier": "gold"}}, "gold"),
        ("a.b.c", {"metadata": {"a": {"b": {"c": 3}}}}, "3"),
        ("http.route", {"metadata": {"http.route": "/pay", "http": {"route": "/other"}}}, "/pay"),
        ("customer.tier", {"metadata": {"customer": "gold"}, "customer": {"tier": "iron"}}, "iron"),
        ("customer.tier", {"metadata": {"customer": "gold"}}, ""),
        ("customer", {"metadata": {"customer": {"tier": "gold"}}}, ""),
        ("..", {"metadata": {"": {"": "x"}}}, ""),
        ("task", {}, ""),
        ("", {"metadata": {"": "x"}, "": "x"}, ""),
    ],
)
def test_a_label_is_found_where_callers_may_have_left_it(name: str, changes: dict[str, object], expected: str) -> None:
    """In metadata, else in labels, else in the row itself; the first that is there decides."""
    assert expected == segment(name, **changes)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("refund", "refund"),
        ("Rückgabe 返金", "Rückgabe 返金"),
        ("x" * 100, "x" * 100),
        (0, "0"),
        (-7, "-7"),
        (2**63, "9223372036854775808"),
        (10**100 - 1, "9" * 100),
        (True, "true"),
        (False, "false"),
        ("", ""),
        ("x" * 101, ""),
        ("a\nb", ""),
        ("a\0", ""),
        ("\x1b[31m", ""),
        ("\ud800", ""),
        (10**100, ""),
        (-(10**99), ""),
        pytest.param(10**5000, "", id="more digits than Python writes"),
        (1.5, ""),
        (NAN, ""),
        (["refund"], ""),
        ({"name": "refund"}, ""),
    ],
)
def test_a_label_is_written_as_text_or_is_none(value: object, expected: str) -> None:
    """An odd one never makes the row unusable, and a long one is never cut to look like another."""
    assert expected == segment("task", metadata={"task": value})
