"""The real daemon, asked how it is: by probes, by Prometheus, by a service manager; and a dead man's switch."""

from __future__ import annotations

import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.acceptance.shell import Started, eventually
from tests.platforms.test_heartbeat import CANARY, switched
from tests.server.conftest import free_port
from tests.server.test_health import samples
from tests.server.test_service_manager import listener

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.guarded import Guarded

pytestmark = pytest.mark.acceptance


def told(receiver: socket.socket) -> list[str]:
    """Every line so far."""
    receiver.settimeout(0.0)
    said: list[str] = []
    with suppress(BlockingIOError):
        while True:
            said += receiver.recv(4096).decode().splitlines()
    return said


def configured(guarded: Guarded, text: str) -> None:
    config = guarded.folder / "config.toml"
    config.write_text(f"{config.read_text()}\n{text}\n")


def get(port: int, path: str) -> httpx.Response:
    return httpx.get(f"http://127.0.0.1:{port}{path}", trust_env=False, timeout=10.0)


def answers(port: int, path: str) -> int:
    with suppress(httpx.TransportError):
        return get(port, path).status_code
    return 0


def test_a_revert_is_seen_in_health_and_metrics_and_by_the_service_manager(guarded: Guarded, tmp_path: Path) -> None:
    """From its start over an outage of the platform to its end."""
    port = free_port()
    configured(guarded, f'[server]\nlisten = "127.0.0.1:{port}"')
    guarded.adopted()
    guarded.promoted_harmful()
    guarded.env |= {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "180000000"}
    with closing(listener(guarded.env["NOTIFY_SOCKET"])) as manager, guarded.daemon() as daemon:
        eventually(lambda: answers(port, "/readyz") == 200)
        eventually(lambda: guarded.pointer() == guarded.v1)
        eventually(lambda: samples(get(port, "/metrics").text).get(("promptwatch_incidents", "done")) == 1.0)
        shown = samples(get(port, "/metrics").text)
        with ThreadPoolExecutor(8) as pool:
            assert {200} == set(pool.map(lambda _: answers(port, "/metrics"), range(40)))

        assert "ok\n" == get(port, "/healthz").text
        assert 1.0 == shown["promptwatch_verdict_delay_seconds_count",]
        assert 1.0 == shown["promptwatch_watches_ended_total", "tripped"]
        assert shown["promptwatch_ticks_total",] >= 1.0
        assert 1.0 == shown["promptwatch_store_up",]
        assert not any("support-reply" in text for text in (get(port, "/metrics").text, get(port, "/readyz").text))
        assert guarded.env["PROMPTHELM_TOKEN"] not in get(port, "/metrics").text

        guarded.stop_platform()
        daemon.says("detect_failed")
        assert 200 == answers(port, "/healthz")
        guarded.start_platform()

        daemon.signal(signal.SIGTERM)
        assert 0 == daemon.ended().status
        said = told(manager)
    assert 0 == answers(port, "/healthz")
    assert "READY=1" == said[0]
    assert said.count("WATCHDOG=1") >= 2
    assert any(line.startswith("STATUS=guarding PromptHelm") for line in said)
    assert ["STOPPING=1", "STATUS=draining"] == said[-2:]


def test_what_was_counted_is_still_so_after_a_restart(guarded: Guarded) -> None:
    """No counter of the store goes backwards."""
    port = free_port()
    configured(guarded, f'[server]\nlisten = "127.0.0.1:{port}"')
    guarded.adopted()
    guarded.promoted_harmful()
    with guarded.daemon():
        eventually(lambda: answers(port, "/readyz") == 200)
        eventually(lambda: samples(get(port, "/metrics").text).get(("promptwatch_incidents", "done")) == 1.0)
        eventually(lambda: samples(get(port, "/metrics").text)["promptwatch_outbox_notices",] == 0.0)
        before = samples(get(port, "/metrics").text)
    with guarded.daemon():
        eventually(lambda: answers(port, "/readyz") == 200)
        after = samples(get(port, "/metrics").text)

    kept = [key for key in before if key[0].endswith("_total") and "ticks" not in key[0] and "process" not in key[0]]
    assert len(kept) > 10
    assert {} == {key: (before[key], after[key]) for key in kept if after[key] < before[key]}


def test_a_taken_port_does_not_keep_it_from_guarding(guarded: Guarded) -> None:
    """It says so in the log, with what to do, and reverts all the same."""
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        configured(guarded, f'[server]\nlisten = "127.0.0.1:{other.getsockname()[1]}"')
        guarded.adopted()
        guarded.promoted_harmful()
        with guarded.daemon() as daemon:
            line = daemon.says("listen_failed")
            eventually(lambda: guarded.pointer() == guarded.v1)

    assert "Address already in use" in line
    assert "server.listen" in line


def test_a_switch_is_pressed_and_its_address_never_shown(guarded: Guarded) -> None:
    """Nor is it by a switch that refuses; nothing else depends on it."""
    with switched() as switch:
        switch.status = 404
        guarded.env["HEARTBEAT"] = switch.url
        configured(guarded, '[server]\nlisten = ""\n[heartbeat]\nurl = "env:HEARTBEAT"')
        with guarded.daemon() as daemon:
            line = daemon.says("heartbeat_failed")
            eventually(lambda: len(switch.asked) == 1)
            daemon.signal(signal.SIGTERM)
            ended = daemon.ended()

    assert f"127.0.0.1:{switch.server_port} answered 404" in line
    assert 0 == ended.status
    assert CANARY not in ended.err + ended.out


def test_a_daemon_that_cannot_begin_says_so_to_nobody_as_ready(guarded: Guarded, tmp_path: Path) -> None:
    """A service manager must not take a second daemon on the same database for a running one."""
    configured(guarded, '[server]\nlisten = ""')
    address = str(tmp_path / "notify")
    with guarded.daemon() as first, closing(listener(address)) as manager:
        first.says("started")
        with Started("run", folder=guarded.folder, env={**guarded.env, "NOTIFY_SOCKET": address}) as second:
            assert 3 == second.ended().status
        assert [] == told(manager)
