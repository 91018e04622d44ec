"""`promptwatch run` where it cannot guard: it says why, and starts nothing."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3

import pytest

from tests.acceptance.guarded import Guarded
from tests.acceptance.shell import promptwatch
from watchdog.embedded.faults import Answering, Fault
from watchdog.embedded.tokens import Scope

pytestmark = pytest.mark.acceptance


def test_a_token_that_may_not_promote_is_refused_at_the_start(tmp_path):
    """And not at three in the morning; nothing was started by then."""
    with Guarded(tmp_path, scopes=(Scope.ANALYTICS_READ, Scope.AUDIT_READ)) as guarded:
        ended = guarded.promptwatch("run")

    assert 1 == ended.status
    assert "POST /api/v1/prompts/" in ended.err
    assert "/promote" in ended.err
    assert "prompts:write" in ended.err
    assert "nothing was started" in ended.err
    assert not (tmp_path / "promptwatch.db").exists()


def test_alerting_needs_no_right_to_promote(guarded):
    """With `act = "alert"` nothing is ever written."""
    guarded.change_config("[watch]", '[watch]\nact = "alert"')
    guarded.platform.faults.inject(Fault(answering=Answering.STATUS, path="*/promote", status=403, next_n=None))

    with guarded.daemon() as daemon:
        daemon.says("action=adopted")
        daemon.signal(signal.SIGTERM)

        assert 0 == daemon.ended().status


def test_alerting_needs_the_right_to_read_prompts(tmp_path):
    """Although the scope for it is the one for promoting: a daemon without it would be blind."""
    with Guarded(tmp_path, scopes=(Scope.ANALYTICS_READ, Scope.AUDIT_READ)) as guarded:
        guarded.change_config("[watch]", '[watch]\nact = "alert"')
        ended = guarded.promptwatch("run", timeout_s=10.0)

    assert 1 == ended.status
    assert "cannot see which version is on production" in ended.err


def test_a_second_daemon_on_the_same_database_is_refused(guarded):
    """The first one is not disturbed."""
    with guarded.daemon() as first:
        first.says("action=started")

        second = guarded.promptwatch("run")

        assert first.process.poll() is None
        first.signal(signal.SIGTERM)
        assert 0 == first.ended().status
    assert 3 == second.status
    assert "promptwatch.db: another daemon is running on this database; stop it" in second.err


def test_a_database_of_a_newer_version_is_refused(guarded):
    """What to do is said, and the file is left as it is."""
    with sqlite3.connect(guarded.folder / "promptwatch.db") as connection:
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.execute("INSERT INTO alembic_version VALUES ('9999')")
    connection.close()
    before = (guarded.folder / "promptwatch.db").read_bytes()

    ended = guarded.promptwatch("run")

    assert 3 == ended.status
    assert "promptwatch.db: its schema is 9999, this program knows up to" in ended.err
    assert "upgrade prompt-watchdog" in ended.err
    assert before == (guarded.folder / "promptwatch.db").read_bytes()


def test_a_read_only_database_is_refused(guarded):
    """With the file, and what to look at."""
    guarded.adopted()
    (guarded.folder / "promptwatch.db").chmod(0o444)

    ended = promptwatch("run", folder=guarded.folder, env=guarded.env, before=with_permissions())

    assert 3 == ended.status
    assert "promptwatch.db: read-only; check the file's and the folder's permissions" in ended.err


def test_a_file_that_is_no_database_is_refused(guarded):
    """It is somebody's, and stays as it is."""
    (guarded.folder / "promptwatch.db").write_text("dear diary\n" * 100)

    ended = guarded.promptwatch("run")

    assert 3 == ended.status
    assert "not a database of this program" in ended.err
    assert "dear diary\n" * 100 == (guarded.folder / "promptwatch.db").read_text()


def test_a_missing_secret_is_refused(guarded):
    """By its name, with the place in the file."""
    del guarded.env["PROMPTHELM_TOKEN"]

    ended = guarded.promptwatch("run")

    assert 2 == ended.status
    assert "config.toml:3:1: platform.token" in ended.err
    assert "PROMPTHELM_TOKEN" in ended.err


def with_permissions() -> tuple[str, ...]:
    """root passes over the permissions of files, unless it gives that up."""
    if os.getuid() != 0:
        return ()
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("root passes over the permissions of files")
    return (setpriv, "--bounding-set=-dac_override", "--")
