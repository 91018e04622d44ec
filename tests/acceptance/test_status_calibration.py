"""`promptwatch status` says what quiet days ask of the rules."""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.shell import promptwatch
from tests.builders import T0
from watchdog.core.calibration import Calibration
from watchdog.core.model import Prompt
from watchdog.store import calibrations, journal
from watchdog.store.calibrations import QuietRecord
from watchdog.store.database import Store

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.acceptance

FOUND = {
    "success": Calibration(days=7, worst_nats=10.0, alpha_nats=6.2),
    "latency_p95": Calibration(days=7, worst_nats=40.0, alpha_nats=7.0),
    "cost": Calibration(days=7, worst_nats=0.3, alpha_nats=7.0),
}


@pytest.fixture
def learned(tmp_path: Path) -> Path:
    """A database in which one prompt has quiet days."""
    store = Store(f"sqlite:///{tmp_path / 'watch.db'}")
    store.migrate()
    record = QuietRecord(
        prompt_id="support", version_id="v1", rules_digest="digest", until=T0, judged={date(2026, 11, 19): FOUND}
    )
    with store.write() as connection:
        journal.see_pointer(
            connection, Prompt(id="support", slug="support-reply", name="", production_version_id="v1"), T0
        )
        calibrations.save(connection, None, record)
    store.close()
    return tmp_path


def test_status_says_what_is_asked_for_and_what_only_alerts(learned: Path) -> None:
    """One line a prompt; rules that did not stray are not in it."""
    ended = promptwatch("status", "--store=sqlite:///watch.db", folder=learned)

    (line,) = [line for line in ended.out.splitlines() if line.startswith("support-reply: ")]
    assert line.startswith(
        "support-reply: 7 quiet days; success asks for 1 in 36,000 instead of 1 in 490; latency_p95 "
    )
    assert "latency_p95 only alerts here" in line
    assert "cost" not in line


def test_status_has_it_as_json(learned: Path) -> None:
    """With the numbers."""
    ended = promptwatch("status", "--json", "--store=sqlite:///watch.db", folder=learned)

    (found,) = json.loads(ended.out)["calibrations"]
    assert ("support-reply", "v1") == (found["prompt"], found["version"])
    assert {"success": False, "latency_p95": True, "cost": False} == {
        rule["rule"]: rule["only_alerts"] for rule in found["rules"]
    }
    assert 10.5 == found["rules"][0]["needed_nats"]
