"""The execution log, its pages, its rolled-up numbers, and product feedback, over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from watchdog.embedded.executions import Filter
from watchdog.embedded.feedback import FeedbackKind
from watchdog.embedded.recordings import RecordedCall

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
FAST = RecordedCall(latency_ms=200.0, cost_usd=0.002, input_tokens=10, output_tokens=5, cached_tokens=2, model="gpt-4")


def _past(running, count, *, call=FAST, start=NOON - timedelta(hours=1), version=None):
    calls = [(start, call)] * count
    return running.platform.admin.import_executions(running.prompt_id, version or running.first, calls)


def test_an_item_has_the_fields_of_the_contract(running):
    """
    Stamped when it was written, and started its latency before that.
    """
    (wanted,) = _past(running, 1)

    assert [
        {
            "id": wanted,
            "promptId": running.prompt_id,
            "versionId": running.first,
            "environment": "production",
            "model": "gpt-4",
            "provider": "simulated",
            "status": "success",
            "errorCode": None,
            "latencyMs": 200.0,
            "cost": 0.002,
            "inputTokens": 10,
            "outputTokens": 5,
            "cachedTokens": 2,
            "createdAt": "2026-11-20T11:00:00.200Z",
            "startedAt": "2026-11-20T11:00:00.000Z",
            "metadata": {},
        }
    ] == running.logs()["items"]


def test_what_is_not_known_is_null_and_not_zero(running):
    """
    A recording without cost and input tokens stays without them.
    """
    _past(running, 1, call=RecordedCall(latency_ms=None, ok=False, error_code="PROVIDER_ERROR"))

    (item,) = running.logs()["items"]
    unknown = ("latencyMs", "cost", "inputTokens", "outputTokens", "cachedTokens")
    assert [None] * 5 == [item[name] for name in unknown]
    assert ("error", "PROVIDER_ERROR") == (item["status"], item["errorCode"])


def test_pages_hold_still_while_rows_of_the_same_millisecond_arrive(running):
    """
    Calls are served between the pages; each row comes exactly once and in the order of writing.
    """
    for _ in range(6):
        running.execute(promptSlug="support", environment="production", variables={"name": "Ada"})
    seen, cursor = [], ""
    while cursor is not None:
        page = running.logs(limit=2, cursor=cursor)
        seen += [item["id"] for item in page["items"]]
        cursor = page["nextCursor"]
        if len(seen) < 10:
            running.execute(promptSlug="support", environment="production", variables={"name": "Ada"})

    every = [item["id"] for item in running.logs(limit=1000)["items"]]
    assert every == seen
    assert len(set(seen)) == len(seen)


def test_an_exactly_full_last_page_has_no_further_cursor(running):
    """
    A reader does not fetch an empty page.
    """
    _past(running, 4)

    first = running.logs(limit=2)
    assert running.logs(limit=2, cursor=first["nextCursor"])["nextCursor"] is None


def test_since_is_inclusive_and_until_is_exclusive(running):
    """
    Neighbouring windows neither share a row nor lose one, down to the microsecond.
    """
    for ms in (0, 1, 2):
        _past(running, 1, start=NOON - timedelta(minutes=5) + timedelta(milliseconds=ms))
    second = "2026-11-20T11:55:00.201Z"

    assert 1 == len(running.logs(until=second)["items"])
    assert 2 == len(running.logs(since=second)["items"])
    assert 1 == len(running.logs(since="2026-11-20T11:55:00.201001Z")["items"])
    assert 2 == len(running.logs(until="2026-11-20T11:55:00.201001Z")["items"])


def test_rows_can_be_filtered_by_prompt_version_and_environment(running):
    """
    Each filter alone.
    """
    admin = running.platform.admin
    other = admin.create_prompt("other")
    elsewhere = admin.save_version(other)
    admin.import_executions(other, elsewhere, [(NOON, FAST)])
    _past(running, 2)
    _past(running, 3, version=running.second)
    admin.import_executions(running.prompt_id, running.first, [(NOON, FAST)], environment="development")

    assert 6 == len(running.logs(promptId=running.prompt_id)["items"])
    assert 3 == len(running.logs(versionId=running.second)["items"])
    assert 1 == len(running.logs(environment="development")["items"])


def test_one_execution_shows_the_bodies(running):
    """
    The request as it went to the provider, and the response.
    """
    called = running.execute(promptSlug="support", variables={"name": "Ada"}, temperature=0.5).json()

    shown = running.get(f"/api/v1/execution-logs/{called['id']}").json()

    assert "Hi Ada" == shown["request"]["user"]
    assert 0.5 == shown["request"]["temperature"]
    assert {"output": called["output"], "finishReason": "stop"} == shown["response"]


def test_what_the_caller_said_about_its_call_is_in_the_log(running):
    """
    In listings and in the single row, with its types; calls without any have an empty object.
    """
    said = {"task": "refund", "tenant": 7, "share": 0.5, "retry": False}
    labelled = running.execute(promptSlug="support", variables={"name": "Ada"}, metadata=said).json()
    running.execute(promptSlug="support", variables={"name": "Ada"})

    assert [said, {}] == [item["metadata"] for item in running.logs()["items"]]
    assert said == running.get(f"/api/v1/execution-logs/{labelled['id']}").json()["metadata"]


def test_a_call_that_failed_keeps_what_its_caller_said(running):
    """
    Whether the provider failed or a variable was missing: failures are what a segment is asked about.
    """
    running.platform.simulated.fail(status=503)
    running.execute(promptSlug="support", variables={"name": "Ada"}, metadata={"task": "refund"})
    running.execute(promptSlug="support", metadata={"task": "invoice"})

    shown = [(item["status"], item["metadata"]) for item in running.logs()["items"]]
    assert [("error", {"task": "refund"}), ("error", {"task": "invoice"})] == shown


def test_imported_calls_may_carry_what_was_said_about_them(running):
    """
    All of one import the same.
    """
    past = [(NOON - timedelta(hours=1), FAST)] * 2
    running.platform.admin.import_executions(running.prompt_id, running.first, past, metadata={"task": "refund"})

    assert [{"task": "refund"}] * 2 == [item["metadata"] for item in running.logs()["items"]]


def test_a_failed_execution_shows_why(running):
    """
    What the Logs view shows of a failing payload.
    """
    running.platform.simulated.fail(status=503)
    running.execute(promptSlug="support", variables={"name": "Ada"})

    (item,) = running.logs()["items"]
    shown = running.get(f"/api/v1/execution-logs/{item['id']}").json()
    expected = {"output": "", "errorCode": "PROVIDER_ERROR", "message": "the provider answered 503"}
    assert expected == shown["response"]


def test_analytics_agree_with_numpy(running):
    """
    Percentiles by linear interpolation, rates and sums over what is known.
    """
    rng = np.random.default_rng(7)
    latencies = rng.lognormal(6.0, 0.8, 400)
    failed = rng.random(400) < 0.1
    calls = [
        (
            NOON - timedelta(hours=2),
            RecordedCall(
                latency_ms=float(latency),
                ok=not bad,
                error_code="PROVIDER_TIMEOUT" if bad else "",
                cost_usd=float(latency) / 1e5,
                cached_tokens=3,
            ),
        )
        for latency, bad in zip(latencies, failed, strict=True)
    ]
    running.platform.admin.import_executions(running.prompt_id, running.first, calls)
    _past(running, 100, version=running.second)

    shown = running.get("/api/v1/execution-logs/analytics", promptId=running.prompt_id, versionId=running.first).json()

    assert 400 == shown["volume"]
    assert 1.0 - failed.mean() == pytest.approx(shown["successRate"])
    expected = np.percentile(latencies, [50, 95, 99])
    assert list(expected) == pytest.approx([shown["latencyMs"][name] for name in ("p50", "p95", "p99")])
    assert latencies.sum() / 1e5 == pytest.approx(shown["cost"]["total"])
    assert latencies.mean() / 1e5 == pytest.approx(shown["cost"]["average"])
    assert 1200 == shown["cachedTokens"]
    assert {"PROVIDER_TIMEOUT": int(failed.sum())} == shown["errorCodes"]


def test_analytics_show_usage_by_version(running):
    """
    The busiest first, with its semantic version.
    """
    _past(running, 2)
    _past(running, 5, version=running.second)

    shown = running.get("/api/v1/execution-logs/analytics", promptId=running.prompt_id).json()

    assert [("1.1.0", 5), ("1.0.0", 2)] == [(part["version"], part["volume"]) for part in shown["byVersion"]]


def test_analytics_of_nothing_are_null_and_not_zero(running):
    """
    No call is no success rate, not a success rate of zero.
    """
    shown = running.get("/api/v1/execution-logs/analytics", promptId=running.prompt_id).json()

    assert 0 == shown["volume"]
    assert shown["successRate"] is None
    assert {"p50": None, "p95": None, "p99": None} == shown["latencyMs"]
    assert {"total": None, "average": None} == shown["cost"]


def test_analytics_window_is_given_or_the_last_day_within_the_retention(running):
    """
    Default 24 hours; nothing before 90 days ago.
    """
    default = running.get("/api/v1/execution-logs/analytics").json()
    assert ("2026-11-19T12:00:00.000Z", "2026-11-20T12:00:00.000Z") == (default["from"], default["to"])

    long = running.get("/api/v1/execution-logs/analytics", **{"from": "2020-01-01T00:00:00Z"}).json()
    assert "2026-08-22T12:00:00.000Z" == long["from"]


def test_rows_older_than_the_retention_are_forgotten_at_the_next_start(running):
    """
    90 days are kept.
    """
    _past(running, 3, start=NOON - timedelta(days=91))
    _past(running, 2)
    running.platform.stop()

    running.platform.start()

    assert 2 == len(running.platform.admin.executions.rows(Filter()))


def test_feedback_about_an_execution_knows_its_prompt_and_version(running):
    """
    The caller sends only the execution's id.
    """
    called = running.execute(promptSlug="support", environment="production", variables={"name": "Ada"}).json()

    body = {"executionId": called["id"], "kind": "thumbs_down"}
    given = running.client.post("/api/v1/feedback", json=body).json()

    assert (running.prompt_id, running.first) == (given["promptId"], given["versionId"])
    assert [given] == running.get("/api/v1/feedback", promptId=running.prompt_id).json()["items"]


def test_feedback_about_a_prompt_alone_has_no_version(running):
    """
    The platform cannot say which answer was meant.
    """
    body = {"promptId": running.prompt_id, "kind": "support_ticket", "createdAt": "2026-11-20T11:30:00Z"}
    given = running.client.post("/api/v1/feedback", json=body).json()

    assert given["versionId"] is None
    assert "2026-11-20T11:30:00.000Z" == given["createdAt"]


def test_feedback_is_read_from_an_instant_in_pages(running):
    """
    since inclusive, oldest first.
    """
    admin = running.platform.admin
    kinds = [FeedbackKind.THUMBS_UP, FeedbackKind.THUMBS_DOWN, FeedbackKind.SUPPORT_TICKET]
    for hours, kind in zip((3, 2, 1), kinds, strict=True):
        admin.feedback(running.prompt_id, kind, version_id=running.first, at=NOON - timedelta(hours=hours))

    first = running.get("/api/v1/feedback", since="2026-11-20T10:00:00Z", limit=1).json()
    second = running.get("/api/v1/feedback", since="2026-11-20T10:00:00Z", limit=1, cursor=first["nextCursor"]).json()

    assert ["thumbs_down", "support_ticket"] == [first["items"][0]["kind"], second["items"][0]["kind"]]
    assert second["nextCursor"] is None


def test_feedback_about_an_unknown_execution_is_answered_404(running):
    """
    Nothing is noted.
    """
    body = {"executionId": "exe_000000000099", "kind": "thumbs_up"}

    assert 404 == running.client.post("/api/v1/feedback", json=body).status_code
    assert [] == running.get("/api/v1/feedback").json()["items"]
