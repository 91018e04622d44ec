"""Instants: whole milliseconds since 1970 (UTC) in the tables, ISO 8601 with Z on the wire."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


def stamp_ms(at: datetime) -> int:
    """Milliseconds since 1970 of an aware instant, rounded down: how a record is stamped."""
    return (at - _EPOCH) // _MS


def bound_ms(at: datetime) -> int:
    """
    Milliseconds since 1970 of an aware instant, rounded up.

    A record stamped m lies at or after `at` exactly when m >= bound_ms(at), so one rounding serves `since` and `until`.
    """
    return -((_EPOCH - at) // _MS)


def wire(ms: int) -> str:
    """Such as `2026-11-20T08:15:30.125Z`."""
    return (_EPOCH + ms * _MS).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def read_wire(text: str) -> datetime:
    """
    Returns: aware UTC.
    Raises: ValueError: not ISO 8601, or without an offset.
    """
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("no offset")
    return at.astimezone(UTC)
