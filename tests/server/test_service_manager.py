"""What a service manager hears, over a real datagram socket."""

from __future__ import annotations

import contextlib
import os
import socket
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from watchdog.server.service_manager import ServiceManager

if TYPE_CHECKING:
    from pathlib import Path


def heard(receiver: socket.socket) -> list[str]:
    """Every datagram so far."""
    receiver.settimeout(0.0)
    said = []
    while True:
        try:
            said.append(receiver.recv(4096).decode())
        except BlockingIOError:
            return said


def listener(address: str) -> socket.socket:
    receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    receiver.bind(f"\0{address[1:]}" if address.startswith("@") else address)
    return receiver


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_the_whole_life_is_told(tmp_path: Path, kind: str) -> None:
    """Ready, alive with each tick, its status when it changes, and the end."""
    address = str(tmp_path / "notify") if kind == "path" else f"@promptwatch-test-{os.getpid()}"
    with closing(listener(address)) as receiver:
        manager = ServiceManager({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "90000000"})
        manager.ready("started")
        manager.ticked("started")
        manager.ticked("guarding")
        manager.ticked("guarding")
        manager.stopping()
        manager.ticked("a last look that was under way")

        assert [
            "READY=1\nSTATUS=started",
            "WATCHDOG=1",
            "WATCHDOG=1\nSTATUS=guarding",
            "WATCHDOG=1",
            "STOPPING=1\nSTATUS=draining",
        ] == heard(receiver)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"WATCHDOG_USEC": "90000000"}, 90.0),
        ({"WATCHDOG_USEC": "90000000", "WATCHDOG_PID": str(os.getpid())}, 90.0),
        ({"WATCHDOG_USEC": "90000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_life_is_told_only_to_whom_it_may_concern(
    tmp_path: Path, given: dict[str, str], expected: float | None
) -> None:
    """WATCHDOG_PID names another process where a wrapper started us."""
    address = str(tmp_path / "notify")
    with closing(listener(address)) as receiver:
        manager = ServiceManager({"NOTIFY_SOCKET": address, **given})
        manager.ticked("")

        assert expected == manager.watchdog_s
        assert (["WATCHDOG=1"] if expected else []) == heard(receiver)


@pytest.mark.parametrize("address", ["", "relative", "vsock:2:1234", "/nowhere/to/be/found", "/" + "x" * 300])
def test_without_anybody_to_tell_nothing_happens(address: str) -> None:
    """A path that is gone, or an address of another kind, harms nobody."""
    manager = ServiceManager({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "1000000"})
    manager.ready("started")
    manager.ticked("guarding")
    manager.stopping()


def test_a_manager_that_does_not_read_holds_nothing_up(tmp_path: Path) -> None:
    """Its queue is full, and the sentinel goes on."""
    address = str(tmp_path / "notify")
    with closing(listener(address)) as receiver:
        manager = ServiceManager({"NOTIFY_SOCKET": address})
        with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as filler:
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    filler.sendto(b"x", address)
        manager.ticked("a new status")
        heard(receiver)
        manager.ticked("a new status")

        # It was not heard the first time, so it is said again.
        assert ["STATUS=a new status"] == heard(receiver)
