"""
Commands in processes that are forked from one that has the program loaded: to start Python and to import what the
command line imports takes longer than most commands do.

All else is as it is from a shell: the process of its own, its folder, its environment, its end. What a start imports
is asked in `tests/house/test_start.py`, and whatever runs in the background or in a terminal is started by its script.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import pkgutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_ROOT = Path(__file__).parents[2]
_LONGEST = 1 << 18
_ON_FIRST_USE = ("alembic.command", "scipy.special", "sqlalchemy.dialects.sqlite")
_NOT_IMPORTED = ("watchdog.__main__", "watchdog.store.migrations")


class Loaded:
    """
    A process that waits with everything imported. One command at a time: `free` is held by whoever runs one.

    Args:
        env: the environment in which it is imported; a command is given its own.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        self.free = Lock()
        self._env = env
        self._ours: socket.socket | None = None

    def run(
        self, command: Sequence[str], *, folder: Path, env: Mapping[str, str], timeout_s: float
    ) -> tuple[int, str, str]:
        """
        Returns: its status, negative for a signal; what it wrote to either stream.
        Raises: subprocess.TimeoutExpired: it was killed.
        """
        ours = self._ours or self._start()
        given = json.dumps({"command": list(command), "folder": str(folder), "env": dict(env)}).encode()
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            socket.send_fds(ours, [given], [out.fileno(), err.fileno()])
            number = int(ours.recv(_LONGEST))
            ours.settimeout(timeout_s)
            try:
                status = int(ours.recv(_LONGEST))
            except TimeoutError:
                os.kill(number, signal.SIGKILL)
                ours.settimeout(None)
                ours.recv(_LONGEST)
                raise subprocess.TimeoutExpired(list(command), timeout_s) from None
            ours.settimeout(None)
            out.seek(0)
            err.seek(0)
            return status, out.read().decode(), err.read().decode()

    def _start(self) -> socket.socket:
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        path = os.pathsep.join([str(_ROOT), self._env.get("PYTHONPATH", "")])
        # Neither stream is a terminal, or what is forked would write line by line.
        process = subprocess.Popen(
            [sys.executable, __file__, str(theirs.fileno())],
            env={**self._env, "PYTHONPATH": path},
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        theirs.close()

        def end(ours: socket.socket = self._ours) -> None:
            ours.close()
            process.wait(10.0)

        atexit.register(end)
        return self._ours


def _next_command(theirs: socket.socket) -> bool:
    """In each process that is forked: whether there is a command, and it is this one's; False at the end."""
    while True:
        given, streams, _, _ = socket.recv_fds(theirs, _LONGEST, 2)
        if not given:
            return False
        number = os.fork()
        if number == 0:
            theirs.close()
            _become(streams, **json.loads(given))
            return True
        for stream in streams:
            os.close(stream)
        theirs.send(str(number).encode())
        theirs.send(str(os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])).encode())


def _become(streams: Sequence[int], command: list[str], folder: str, env: dict[str, str]) -> None:
    for ours, stream in enumerate(streams, start=1):
        os.dup2(stream, ours)
        os.close(stream)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    sys.argv = command


def _load() -> Callable[[], None]:
    """The entry point; whatever is imported later, on first use, is there as well."""
    import watchdog

    for module in pkgutil.walk_packages(watchdog.__path__, "watchdog."):
        if not module.name.startswith(_NOT_IMPORTED):
            importlib.import_module(module.name)
    for name in _ON_FIRST_USE:
        importlib.import_module(name)
    from watchdog.cli import main

    return main


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    program = _load()
    # Or each command would go through all of it at its end, to free what is shared.
    gc.freeze()
    if _next_command(socket.socket(fileno=int(sys.argv[1]))):
        sys.exit(program())
