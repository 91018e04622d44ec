"""One row of PromptHelm's execution logs as a `Call`, or the reason why it cannot be one. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from watchdog.core.model import Call
from watchdog.platforms.error_codes import CallStatus, error_kind, status_of
from watchdog.platforms.fields import (
    Row,
    Unusable,
    as_segment,
    found,
    identifier,
    instant,
    optional_count,
    optional_identifier,
    optional_instant,
    optional_label,
    optional_number,
    text,
)

# No call costs a million dollars; the square of an absurd number would spoil every mean that it gets into.
LARGEST_COST_USD = 1e6
# Where a row keeps what its caller said about the call. Assumed: PromptHelm publishes neither.
_CALLERS_LABELS = ("metadata", "labels")
FUTURE_TOLERANCE = timedelta(minutes=5)
LONGEST_LATENCY_MS = 86_400_000.0


@dataclass(frozen=True, kw_only=True)
class CallQuery:
    """
    Which calls were asked for.

    Attributes:
        since, until: recorded in [since, until), aware UTC.
        latest_start: a call that started after this is not believed.
        segment_by: name of the label whose value becomes the call's segment, such as `task` or `customer.tier`; empty
            for none.
    """

    prompt_id: str
    environment: str
    since: datetime
    until: datetime
    latest_start: datetime
    segment_by: str = ""


def read_call(row: Row, query: CallQuery) -> Call | None:
    """
    Returns: None for a good row that was not asked for: of another environment, or recorded outside of the range.
    Raises: Unusable: the row cannot be judged by; says why in a few words.
    """
    recorded_at = instant(row, "createdAt")
    if identifier(row, "promptId") != query.prompt_id:
        raise Unusable("of another prompt")
    call_id = identifier(row, "id")
    environment = identifier(row, "environment")
    if environment != query.environment or not query.since <= recorded_at < query.until:
        return None
    latency_ms = optional_number(row, "latencyMs", "latency")
    if latency_ms is not None and latency_ms > LONGEST_LATENCY_MS:
        raise Unusable("latency of more than a day")
    started_at = _started_at(row, recorded_at, latency_ms)
    if started_at > query.latest_start:
        raise Unusable("started in the future")
    status = status_of(text(row, "status"))
    if status is None:
        raise Unusable("unknown status")
    code = "" if status is CallStatus.OK else _code(row)
    return Call(
        id=call_id,
        prompt_id=query.prompt_id,
        version_id=optional_identifier(row, "versionId"),
        environment=environment,
        started_at=started_at,
        recorded_at=recorded_at,
        # A call refused at once is logged with 0 ms. It counts as a failure all the same, but 0 is no latency.
        latency_ms=latency_ms or None,
        ok=status is CallStatus.OK,
        error_kind=error_kind(status, code),
        error_code=code,
        cost_usd=_cost(row),
        input_tokens=optional_count(row, "inputTokens"),
        output_tokens=optional_count(row, "outputTokens"),
        cached_tokens=optional_count(row, "cachedTokens"),
        model=optional_label(row, "model"),
        provider=optional_label(row, "provider"),
        segment=_segment(row, query.segment_by),
    )


def _started_at(row: Row, recorded_at: datetime, latency_ms: float | None) -> datetime:
    started_at = optional_instant(row, "startedAt")
    if started_at is not None:
        return started_at
    try:
        return recorded_at - timedelta(milliseconds=latency_ms or 0.0)
    except OverflowError:
        raise Unusable("createdAt is not a time") from None


def _segment(row: Row, name: str) -> str:
    """
    The first value under that name decides: in the caller's labels, then among the row's own fields. An odd one is no
    segment, and the row is as good as before: what a product writes there is none of the platform's business.
    """
    if not name:
        return ""
    for place in _CALLERS_LABELS:
        labels = row.get(place)
        if isinstance(labels, dict) and (value := found(labels, name)) is not None:
            return as_segment(value)
    return as_segment(found(row, name))


def _cost(row: Row) -> float | None:
    cost = optional_number(row, "cost", "cost")
    if cost is not None and cost > LARGEST_COST_USD:
        raise Unusable("cost is out of range")
    return cost


def _code(row: Row) -> str:
    value = row.get("errorCode")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return optional_label(row, "errorCode")
