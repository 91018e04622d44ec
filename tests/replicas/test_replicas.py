"""A cut of `python -m tests.replicas`: real daemons on a real PostgreSQL; what is broken is told from what is whole."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from tests.replicas.battery import Battery, violations

if TYPE_CHECKING:
    from pathlib import Path

_PATIENCE_S = 240.0


@pytest.mark.crash
def test_three_replicas_under_kills_stops_and_cuts_do_everything_once(tmp_path: Path) -> None:
    """
    Although each has another time: every rollback is made once, every notice stands once, and the watch is judged; else
    the battery says so.
    """
    with Battery(tmp_path, count=12, stories=1, seed=20, patience_s=_PATIENCE_S, apart=True) as battery:
        assert battery.run()
        # One that was just being started when it was told to end has no handler yet.
        assert set(battery.end()) <= {0, -signal.SIGTERM}
        assert [] == violations(battery)
        assert battery.done_to

        # What a second sender, or one that lost a notice, would leave behind is seen.
        prompt, good = next(iter(battery.cases.bad.items()))
        with battery.deps.store.read() as connection:
            wanted = text("SELECT id FROM incidents WHERE prompt_id = :prompt")
            incident = connection.execute(wanted, {"prompt": prompt}).scalar_one()
        battery.platform.admin.promote(prompt, good, "api_token", "token", reason=f"watchdog:{incident}")
        (message, *_) = [m for m in battery.slack.messages() if m.thread_ts is None]
        battery.slack.delete(message.ts)
        said = violations(battery)
        assert 1 == sum("2 promotions in the platform's log" in line for line in said)
        assert any("stands 0 times in the channel" in line for line in said)
