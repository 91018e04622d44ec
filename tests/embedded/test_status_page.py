"""The stand-in for a provider's status page."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from watchdog.embedded.faults import Answering, Fault
from watchdog.embedded.status_page import Indicator

if TYPE_CHECKING:
    from tests.embedded.conftest import Running


def read(running: Running, name: str) -> Any:
    """Without a token, as any status page is read."""
    answer = httpx.get(f"{running.platform.base_url}/status/api/v2/{name}.json", trust_env=False)
    assert 200 == answer.status_code
    return answer.json()


def test_at_first_all_is_well(running: Running) -> None:
    """For everybody who asks."""
    status = {"indicator": "none", "description": "All Systems Operational"}

    assert status == read(running, "status")["status"]
    assert [] == read(running, "incidents/unresolved")["incidents"]


@pytest.mark.parametrize("indicator", Indicator)
def test_it_says_what_it_was_told_to_say(running: Running, indicator: Indicator) -> None:
    """With the incident and its beginning."""
    since = running.clock.now() - timedelta(minutes=5)
    running.platform.admin.say_status(indicator, incident="Elevated errors", since=since)

    assert indicator.value == read(running, "status")["status"]["indicator"]
    (incident,) = read(running, "incidents/unresolved")["incidents"]
    assert ("Elevated errors", "investigating", indicator.value, "2026-11-20T11:55:00.000Z") == (
        incident["name"],
        incident["status"],
        incident["impact"],
        incident["started_at"],
    )


def test_what_was_said_last_counts(running: Running) -> None:
    """Mended without a trace."""
    running.platform.admin.say_status(Indicator.CRITICAL, incident="Everything is down")
    running.platform.admin.say_status(Indicator.NONE)

    assert "none" == read(running, "status")["status"]["indicator"]
    assert [] == read(running, "incidents/unresolved")["incidents"]


def test_it_can_break_like_any_other_page(running: Running) -> None:
    """Faults reach it by its path."""
    running.platform.admin.inject_fault(Fault(answering=Answering.STATUS, status=503, path="/status/*"))

    answer = httpx.get(f"{running.platform.base_url}/status/api/v2/status.json", trust_env=False)

    assert 503 == answer.status_code
