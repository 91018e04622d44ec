"""One file, started again: everything is there, and a file or port that cannot be used says what to do."""

from __future__ import annotations

import socket
import sqlite3
import threading
from contextlib import closing

import httpx
import pytest

from watchdog.embedded.recordings import RecordedCall
from watchdog.embedded.server import EmbeddedPlatform
from watchdog.errors import AddressInUse, SchemaTooNew, StoreUnusable

# The execution log as the first releases made it, with one call in it.
EARLIER_LAYOUT = """
CREATE TABLE executions (
    seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    prompt_id VARCHAR,
    version_id VARCHAR,
    environment VARCHAR NOT NULL,
    model VARCHAR NOT NULL,
    provider VARCHAR NOT NULL,
    ok BOOLEAN NOT NULL,
    error_code VARCHAR,
    latency_ms FLOAT,
    cost_usd FLOAT,
    input_tokens INTEGER,
    output_tokens INTEGER,
    cached_tokens INTEGER,
    created_ms INTEGER NOT NULL,
    imported BOOLEAN NOT NULL,
    request JSON,
    response JSON
);
INSERT INTO executions (environment, model, provider, ok, created_ms, imported)
VALUES ('development', 'gpt-4', 'simulated', 1, 1795168800000, 0);
PRAGMA user_version = 1;
"""


def _execute(http, base_url, token):
    body = {"promptSlug": "support", "environment": "production"}
    headers = {"authorization": f"Bearer {token}"}
    url = f"{base_url}/api/v1/gateway/execute"
    return http.post(url, json=body, headers=headers).json()


def test_a_restart_on_the_same_file_goes_on_where_it_was(tmp_path, clock, http):
    """
    The token still works, production is the same version, and the recording goes on with its third call.
    """
    recording = [RecordedCall(latency_ms=float(latency)) for latency in (100, 200, 300)]
    with EmbeddedPlatform(tmp_path / "embedded.db", clock) as platform:
        token = platform.admin.create_token()
        prompt_id = platform.admin.create_prompt("support")
        version_id = platform.admin.save_version(prompt_id, recording=recording)
        platform.admin.promote(prompt_id, version_id)
        before = [_execute(http, platform.base_url, token)["latencyMs"] for _ in range(2)]

    with EmbeddedPlatform(tmp_path / "embedded.db", clock) as platform:
        after = [_execute(http, platform.base_url, token) for _ in range(2)]

    assert [100, 200, 300, 100] == before + [reply["latencyMs"] for reply in after]
    assert "exe_000000000003" == after[0]["id"]


def test_imported_calls_do_not_move_the_place_in_the_recording(tmp_path, clock, http):
    """
    They were made elsewhere.
    """
    recording = [RecordedCall(latency_ms=float(latency)) for latency in (100, 200)]
    with EmbeddedPlatform(tmp_path / "embedded.db", clock, durable=False) as platform:
        token = platform.admin.create_token()
        prompt_id = platform.admin.create_prompt("support")
        version_id = platform.admin.save_version(prompt_id, recording=recording)
        platform.admin.promote(prompt_id, version_id)
        platform.admin.import_executions(prompt_id, version_id, [(clock.now(), recording[0])])

        assert 100 == _execute(http, platform.base_url, token)["latencyMs"]


def test_a_file_of_an_earlier_layout_goes_on_with_metadata(tmp_path, clock, http):
    """
    Its calls are kept and have none; new ones carry theirs. Opened once more, it is as it was.
    """
    with closing(sqlite3.connect(tmp_path / "embedded.db")) as connection:
        connection.executescript(EARLIER_LAYOUT)

    with EmbeddedPlatform(tmp_path / "embedded.db", clock, durable=False) as platform:
        headers = {"authorization": f"Bearer {platform.admin.create_token()}"}
        body = {"user": "Hello", "metadata": {"task": "refund"}}
        http.post(f"{platform.base_url}/api/v1/gateway/execute", json=body, headers=headers).raise_for_status()

    with EmbeddedPlatform(tmp_path / "embedded.db", clock, durable=False) as platform:
        shown = http.get(f"{platform.base_url}/api/v1/execution-logs", headers=headers).json()["items"]

    expected = [("exe_000000000001", {}), ("exe_000000000002", {"task": "refund"})]
    assert expected == [(item["id"], item["metadata"]) for item in shown]


def test_the_same_platform_can_be_stopped_and_started(running, http):
    """
    And stopped twice.
    """
    running.platform.stop()
    running.platform.stop()

    base_url = running.platform.start()

    assert 200 == http.get(f"{base_url}/api/v1/health").status_code


def test_stop_returns_when_the_thread_has_ended(running):
    """
    Nothing listens any more, and no thread is left.
    """
    running.platform.stop()

    assert "embedded-platform" not in {thread.name for thread in threading.enumerate()}
    with pytest.raises(httpx.ConnectError):
        running.get("/api/v1/health")


def test_a_taken_port_says_what_to_do(tmp_path, clock):
    """
    And nothing is left open.
    """
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        platform = EmbeddedPlatform(tmp_path / "embedded.db", clock, port=port, durable=False)
        with pytest.raises(AddressInUse, match=f"127.0.0.1:{port} is taken; stop the program"):
            platform.start()
        platform.stop()


def test_a_fixed_port_can_be_taken_again_at_once(tmp_path, clock, http):
    """
    Although the system still remembers the connections of the first.
    """
    with EmbeddedPlatform(tmp_path / "embedded.db", clock, durable=False) as platform:
        port = int(platform.base_url.rsplit(":", 1)[1])
        http.get(f"{platform.base_url}/api/v1/health")

    with EmbeddedPlatform(tmp_path / "embedded.db", clock, port=port, durable=False) as platform:
        assert f"http://127.0.0.1:{port}" == platform.base_url


def test_a_folder_that_does_not_exist_says_what_to_do(tmp_path, clock):
    """
    The folder is named.
    """
    with pytest.raises(StoreUnusable, match="nowhere does not exist; create it"):
        EmbeddedPlatform(tmp_path / "nowhere" / "embedded.db", clock)


def test_a_file_that_is_no_database_says_so(tmp_path, clock):
    """
    It is left as it is.
    """
    path = tmp_path / "notes.txt"
    path.write_text("not a database, and long enough to be read as one " * 40)
    before = path.read_bytes()

    with pytest.raises(StoreUnusable, match="file is not a database"):
        EmbeddedPlatform(path, clock)

    assert before == path.read_bytes()


def test_a_folder_in_place_of_the_file_says_so(tmp_path, clock):
    """
    Before anything is served.
    """
    with pytest.raises(StoreUnusable, match="unable to open database file; check the file"):
        EmbeddedPlatform(tmp_path, clock)


def test_a_file_of_a_newer_version_is_not_touched(tmp_path, clock):
    """
    Its schema number says so.
    """
    path = tmp_path / "embedded.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")

    with pytest.raises(SchemaTooNew, match="schema 99, this one knows 1"):
        EmbeddedPlatform(path, clock)
