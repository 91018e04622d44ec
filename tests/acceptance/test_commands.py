"""A person against the running daemon: what the commands print, and what production does."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.shell import eventually, promptwatch

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.guarded import Guarded


pytestmark = pytest.mark.acceptance


def incidents(guarded: Guarded) -> list[dict[str, Any]]:
    return json.loads(guarded.promptwatch("incidents", "--json").out)


def held(guarded: Guarded) -> bool:
    return [i["state"] for i in incidents(guarded)] == ["held"]


def test_a_human_is_in_command_of_a_running_daemon(guarded: Guarded) -> None:
    """Held from before its start, approved, undone; each answer says what was done, or why not."""
    guarded.adopted()
    waits = guarded.promptwatch("hold", "--why", "release", "--no-wait")
    assert (0, "hold: recorded; the daemon executes it within a second or two\n") == (waits.status, waits.out)
    alone = guarded.promptwatch("hold", "support-reply", "--by", "bob")
    assert 3 == alone.status
    assert "recorded; no daemon is running on" in alone.out
    guarded.promoted_harmful()

    with guarded.daemon():
        eventually(lambda: held(guarded), within_s=40.0)
        (incident,) = incidents(guarded)
        short = incident["id"][:8]
        status = guarded.promptwatch("status").out.splitlines()
        assert status[0].startswith("Everything is on hold since")
        assert status[0].endswith(": release.")
        assert f"support-reply: a revert is held ({short})" in status[2]

        refused = guarded.promptwatch("approve", short)
        assert 1 == refused.status
        assert "`promptwatch resume` first" in refused.out
        still = guarded.promptwatch("resume")
        assert (0, True) == (still.status, f"promptwatch approve {short}" in still.out)
        assert 0 == guarded.promptwatch("resume", "support-reply").status
        assert guarded.v2 == guarded.pointer()

        approved = guarded.promptwatch("approve", short, "--by", "ana", "--json")
        assert (0, "done", "ana") == (
            approved.status,
            json.loads(approved.out)[0]["outcome"],
            json.loads(approved.out)[0]["by"],
        )
        eventually(lambda: guarded.pointer() == guarded.v1)
        eventually(lambda: incidents(guarded)[-1]["state"] == "done")
        late = guarded.promptwatch("cancel", short)
        assert (1, True) == (late.status, "already reverted at" in late.out)

        undone = guarded.promptwatch("undo", short, "--by", "bob")
        said = f"undo {short}: undoing: v1.1.0 is put back on production now, in place of v1.0.0\n"
        assert (0, said) == (undone.status, undone.out)
        eventually(lambda: guarded.pointer() == guarded.v2)
        shown = guarded.promptwatch("show", short).out
        assert "approve by ana: approved" in shown
        assert "undo by bob: undoing" in shown


def test_a_command_outlives_a_daemon_that_is_killed(guarded: Guarded) -> None:
    """Recorded while it is down, executed once by the next one."""
    guarded.adopted()
    (guarded.folder / "hold").write_text("release\n")
    guarded.promoted_harmful()
    with guarded.daemon() as daemon:
        eventually(lambda: held(guarded), within_s=40.0)
        daemon.signal(signal.SIGKILL)
        daemon.process.wait(20.0)
    short = incidents(guarded)[0]["id"][:8]
    recorded = guarded.promptwatch("cancel", short)
    assert (3, True) == (recorded.status, recorded.out.endswith("it is executed when one runs\n"))
    second_thoughts = guarded.promptwatch("approve", short)
    assert (3, True) == (second_thoughts.status, second_thoughts.out.endswith("when one runs within 1 h\n"))

    with guarded.daemon():
        eventually(lambda: incidents(guarded)[0]["state"] == "cancelled")
        again = guarded.promptwatch("cancel", short)
        assert (1, True) == (again.status, "already cancelled: cancelled by" in again.out)
    assert guarded.v2 == guarded.pointer()


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("cancel", "no-such"), 1, "fits no incident"),
        (("hold", "support-*"), 2, "is a pattern"),
        (("hold", "--for", "soon"), 2, "a number and a unit"),
        (("snooze", "support-reply"), 2, "--for and a duration"),
        (("snooze", "support-reply", "--for", "2h", "--off"), 2, "--for and a duration"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_recorded(
    guarded: Guarded, arguments: tuple[str, ...], status: int, said: str
) -> None:
    """With what to write instead."""
    guarded.adopted()
    ended = guarded.promptwatch(*arguments)

    assert status == ended.status
    assert said in ended.err


def test_a_database_that_no_daemon_wrote_is_not_made(tmp_path: Path) -> None:
    """It says to start one first."""
    ended = promptwatch("hold", "--store", f"sqlite:///{tmp_path / 'none.db'}", folder=tmp_path)

    assert 3 == ended.status
    assert "start the daemon first" in ended.err
    assert [] == list(tmp_path.iterdir())
