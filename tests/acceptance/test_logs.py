"""What goes to standard error beside the commands' own words."""

from __future__ import annotations

import json
import logging

import pytest
from starlette.requests import ClientDisconnect

from watchdog.cli.logs import set_up_logging
from watchdog.config.settings import LogFormat, LogLevel, LogSettings

pytestmark = pytest.mark.acceptance


@pytest.fixture
def log():
    """A logger of ours; the root logger is put back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield logging.getLogger("watchdog.test")
    root.handlers[:] = handlers
    root.setLevel(level)


def _fail(log, exc):
    log.error("request failed", extra={"action": "request_failed"}, exc_info=exc)


def test_a_failure_is_logged_with_its_traceback(log, capsys):
    """A bug must be seen."""
    set_up_logging(LogSettings())

    _fail(log, ValueError("no"))

    text = capsys.readouterr().err
    assert "ERROR   request failed action=request_failed" in text
    assert "ValueError: no" in text


def test_traffic_that_was_stopped_is_no_failure(log, capsys):
    """It leaves in the middle of a request when the demo ends."""
    set_up_logging(LogSettings(level=LogLevel.ERROR))

    _fail(log, ClientDisconnect())

    assert "" == capsys.readouterr().err


@pytest.mark.parametrize("name", ["apscheduler.scheduler", "httpx"])
def test_libraries_do_not_fill_the_log(log, capsys, name):
    """A tick that waits for the one before is no news, nor is every request."""
    set_up_logging(LogSettings(level=LogLevel.DEBUG))

    logging.getLogger(name).info("HTTP Request: GET https://host/path?with=much")
    logging.getLogger("apscheduler.scheduler").warning("maximum number of running instances reached")

    assert "" == capsys.readouterr().err


def test_a_line_break_in_a_value_forges_no_line(log, capsys):
    """Whatever a platform sends stays on the line of its message."""
    set_up_logging(LogSettings())

    log.warning("refused", extra={"why": "no\n2026-11-20 00:00:00 INFO    all is well"})

    assert 1 == capsys.readouterr().err.count("\n")


def test_json_lines_are_objects_with_the_fields(log, capsys):
    """For a machine that collects them."""
    set_up_logging(LogSettings(format=LogFormat.JSON))

    log.warning("refused", extra={"action": "refused", "why": "no"})

    line = json.loads(capsys.readouterr().err)
    assert {"level": "warning", "message": "refused", "action": "refused", "why": "no"}.items() <= line.items()
