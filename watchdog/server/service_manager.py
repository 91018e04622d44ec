"""
The word to systemd, or to whoever else speaks its protocol: sd_notify(3), without its library.

READY=1 once everything is started, WATCHDOG=1 for ticks that completed and for nothing else, STATUS= when it changes,
STOPPING=1 at the end. Where nobody set NOTIFY_SOCKET nothing is sent.
"""

from __future__ import annotations

import logging
import os
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

log = logging.getLogger(__name__)

# Whoever does not read its socket must not hold up the sentinel.
_SEND_S = 1.0


class ServiceManager:
    """
    Args:
        env: the environment variables: NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        address = env.get("NOTIFY_SOCKET", "")
        # A name that begins with @ is in the abstract namespace of Linux; anything else is a path.
        self._address = f"\0{address[1:]}" if address.startswith("@") else address if address.startswith("/") else ""
        self._status = ""
        self._stopping = False
        self.watchdog_s = _watchdog_s(env)

    def ready(self, status: str) -> None:
        self._status = status
        self._say("READY=1", f"STATUS={status}")

    def ticked(self, status: str) -> None:
        """A tick has completed; at the end that is no news any more."""
        if self._stopping:
            return
        lines = ["WATCHDOG=1"] if self.watchdog_s is not None else []
        if status != self._status:
            lines.append(f"STATUS={status}")
        if lines and self._say(*lines):
            self._status = status

    def stopping(self) -> None:
        self._stopping = True
        self._say("STOPPING=1", "STATUS=draining")

    def _say(self, *lines: str) -> bool:
        if not self._address:
            return False
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.settimeout(_SEND_S)
                sender.sendto("\n".join(lines).encode(), self._address)
        except OSError as exc:
            log.debug("the service manager was not told", extra={"action": "notify_socket_failed", "why": str(exc)})
            return False
        return True


def _watchdog_s(env: Mapping[str, str]) -> float | None:
    """Within how many seconds it wants to hear of us; None where it does not, or means another process."""
    usec, pid = env.get("WATCHDOG_USEC", ""), env.get("WATCHDOG_PID", "")
    if not usec.isdigit() or int(usec) == 0 or (pid and pid != str(os.getpid())):
        return None
    return int(usec) / 1e6
