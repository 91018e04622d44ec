"""One row's cells: a call, or the reason why it is none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from tests.replay.callfiles import kind_of
from watchdog.core.model import ErrorKind
from watchdog.replay.cells import CallRow, CellReader
from watchdog.replay.columns import FIELDS


def read(**given: object) -> CallRow:
    """A row with these cells and no others."""
    return CellReader(frozenset(given), kind_of, "calls").read([given.get(name) for name in FIELDS])


@pytest.mark.parametrize("cell", ["1", "true", "TRUE", "yes", " Yes ", "1.0", True, 1, 1.0])
def test_what_says_yes_is_a_success(cell):
    """In a program's words or a person's."""
    assert (True, None) == (read(ok=cell).ok, read(ok=cell).error_kind)


@pytest.mark.parametrize("cell", ["0", "false", "no", "0.0", False, 0])
def test_what_says_no_is_a_failure_of_a_kind(cell):
    """The kind comes from the error beside it; without one it is none in particular."""
    assert (False, ErrorKind.OTHER) == (read(ok=cell).ok, read(ok=cell).error_kind)
    assert ErrorKind.TIMEOUT is read(ok=cell, error="timeout").error_kind


@pytest.mark.parametrize("empty", ["", None, "null", "NaN", float("nan")])
def test_an_empty_ok_is_unusable_unless_an_error_says_it(empty):
    """Nothing is guessed."""
    assert "ok is empty" == read(ok=empty).reason
    assert "ok is empty" == read(ok=empty, error=empty).reason
    assert ("", False) == (read(ok=empty, error="timeout").reason, read(ok=empty, error="timeout").ok)


def test_without_an_ok_column_an_error_is_a_failure_and_none_a_success():
    """Many logs have an error code alone."""
    assert not read(error="rate_limit").ok
    assert read(error="").ok


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"ok": "0.97"}, "ok is a share and not the outcome of one call"),
        ({"ok": "97%"}, "ok is a share and not the outcome of one call"),
        ({"ok": "maybe"}, "ok is none of 1, 0, true, false, yes, no"),
        ({"latency_s": "fast"}, "latency_s is not a number"),
        ({"latency_s": "-1"}, "latency_s is negative"),
        ({"latency_s": "inf"}, "latency_s is out of range; is its unit right?"),
        ({"latency_ms": "0"}, "latency_ms is 0"),
        ({"cost_usd": "$1"}, "cost_usd is not a number"),
        ({"prompt_tokens": "1.5"}, "prompt_tokens is not a whole number"),
        ({"t_s": ""}, "t_s is empty"),
        ({"t_unix": "1763640000000"}, "t_unix is out of range; is its unit right?"),
        ({"time": "yesterday"}, "time is not an ISO time"),
    ],
)
def test_what_makes_no_sense_makes_the_row_unusable(given, reason):
    """And the reason is the same for all rows with this fault, so that they can be counted."""
    assert reason == read(ok="1", **given).reason if "ok" not in given else read(**given).reason


@pytest.mark.parametrize(
    ("given", "reason", "shown"),
    [
        ({"latency_s": "1,5"}, "latency_s has a comma; write 1.5 for 1,5 and 1500 for 1,500", "1,5"),
        ({"cost_usd": "1,234"}, "cost_usd has a comma; write 1.5 for 1,5 and 1500 for 1,500", "1,234"),
        ({"latency_s": "\x1b[2Jslow\n"}, "latency_s is not a number", "·[2Jslow·"),
        ({"latency_s": "x" * 100}, "latency_s is not a number", "x" * 39 + "…"),
        ({"ok": ""}, "ok is empty", ""),
    ],
)
def test_the_cell_is_shown_with_the_reason(given, reason, shown):
    """Shortened, and without what could steer a terminal."""
    row = read(**{"ok": "1", **given})

    assert (reason, shown) == (row.reason, row.shown)


def test_all_faults_of_a_row_are_told():
    """So that a file is mended in one go."""
    row = read(ok="1", latency_s="1,5", cost_usd="$0.0012")

    assert row.reason.startswith("latency_s has a comma")
    assert row.reason.endswith(" and cost_usd is not a number")


def test_a_number_in_a_column_of_times_is_sent_to_its_field():
    """Seconds since 1970, most likely."""
    row = read(ok="1", time="1763640000.5")

    assert "(seconds since 1970 are t_unix=" in row.reason
    assert "1763640000.5" == row.shown


def test_seconds_and_milliseconds_come_to_the_same():
    """One unit inside."""
    assert 1500.0 == read(latency_s="1.5").latency_ms == read(latency_ms="1500").latency_ms


def test_a_latency_of_0_of_a_failed_call_is_not_known():
    """Some tools log 0 for a call that never got an answer."""
    row = read(ok="0", latency_s="0")

    assert ("", None) == (row.reason, row.latency_ms)


def test_what_is_empty_is_not_known():
    """A call without a cost is still a call."""
    row = read(ok="1", latency_s="", cost_usd="NaN", prompt_tokens=None)

    assert ("", None, None, None) == (row.reason, row.latency_ms, row.cost_usd, row.input_tokens)


NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "given",
    [
        {"time": "2026-11-20T12:00:00Z"},
        {"time": "2026-11-20T13:00:00+01:00"},
        {"time": "2026-11-20 12:00:00"},
        {"time": NOON},
        {"time": NOON.astimezone(timezone(timedelta(hours=5)))},
        {"t_unix": NOON.timestamp()},
        {"t_s": str(NOON.timestamp())},
    ],
)
def test_a_time_can_be_said_in_many_ways(given):
    """A time without a zone is UTC."""
    assert NOON.timestamp() == read(ok="1", **given).at_s


def test_an_absolute_time_is_preferred():
    """Seconds may count from an origin of each version."""
    assert NOON.timestamp() == read(ok="1", t_s="3", time=NOON).at_s


def test_a_version_that_went_through_a_data_frame_keeps_its_name():
    """314.0 was 314."""
    assert ("314", "3.5") == (read(version=314.0).version, read(version=3.5).version)
