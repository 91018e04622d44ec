"""
One incident as Slack gets it, compared exactly.

After a change on purpose: PROMPTWATCH_GOLDEN=write pytest tests/notify/test_golden.py, and read the difference.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.notify import incident
from watchdog.embedded import slack_contract
from watchdog.notify.slack_blocks import reply_message, root_message

_GOLDEN = Path(__file__).parent / "golden"
_MESSAGES = {
    "1_tripped_root": lambda: root_message(incident.tripped()),
    "2_reverted_reply": lambda: reply_message(incident.reverted()),
    "2_reverted_root": lambda: root_message(incident.reverted()),
    "3_recovered_reply": lambda: reply_message(incident.recovered()),
    "3_recovered_root": lambda: root_message(incident.recovered()),
}


@pytest.mark.parametrize("name", _MESSAGES)
def test_a_message_of_the_incident_is_rendered_as_it_was_agreed(name: str) -> None:
    """The whole JSON is as in tests/notify/golden."""
    file = _GOLDEN / f"{name}.json"
    message = _MESSAGES[name]()
    if os.environ.get("PROMPTWATCH_GOLDEN") == "write":
        file.write_text(json.dumps(message, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    assert json.loads(file.read_text(encoding="utf-8")) == message


@pytest.mark.parametrize("name", _MESSAGES)
def test_a_message_of_the_incident_keeps_every_limit(name: str) -> None:
    """Slack has nothing to complain of."""
    assert [] == slack_contract.problems(_MESSAGES[name]())
