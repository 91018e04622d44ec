"""Runs the real command line: to its end, or in the background with its output as it comes."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
import time
from dataclasses import dataclass
from pathlib import Path
from threading import Condition, Event, Thread
from typing import IO, TYPE_CHECKING, Self

from tests.acceptance.loaded import Loaded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

PROGRAM = str(Path(sys.executable).with_name("promptwatch"))
TRACEBACK = "Traceback (most recent call last)"


@dataclass(frozen=True, kw_only=True)
class Ended:
    """
    Attributes:
        status: negative, minus its number, after a signal.
    """

    status: int
    out: str
    err: str


_CHANGES_OUTPUT = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "PYTHONUNBUFFERED", "PYTHONWARNINGS")


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """This process's, without what changes the command's behaviour, and with what is given."""
    ours = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PROMPT", "SLACK_")) and name not in _CHANGES_OUTPUT
    }
    return {**ours, **given}


_LOADED = Loaded(environment({}))
_AT_START = ("PYTHON", "LC_", "LANG")


def promptwatch(
    *arguments: str | Path,
    folder: Path,
    env: Mapping[str, str] | None = None,
    before: Sequence[str] = (),
    timeout_s: float = 60.0,
) -> Ended:
    """
    One command, in a folder of its own, its output in pipes.

    Args:
        before: a program that starts ours.
    """
    command, given = [*before, PROGRAM, *map(str, arguments)], environment(env or {})
    # What Python itself goes by when it starts is asked of a real start, and so is a second command at the same time.
    if before or any(name.startswith(_AT_START) for name in env or {}) or not _LOADED.free.acquire(blocking=False):
        done = subprocess.run(
            command,
            cwd=folder,
            env=given,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        ended = Ended(status=done.returncode, out=done.stdout, err=done.stderr)
    else:
        try:
            status, out, err = _LOADED.run(command, folder=folder, env=given, timeout_s=timeout_s)
        finally:
            _LOADED.free.release()
        ended = Ended(status=status, out=out, err=err)
    assert TRACEBACK not in ended.err, ended.err
    return ended


def in_terminal(*arguments: str | Path, folder: Path, columns: int = 120) -> str:
    """What one command shows in a terminal, with its colours."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    process = subprocess.Popen(
        [PROGRAM, *map(str, arguments)],
        cwd=folder,
        env=environment({"TERM": "xterm-256color"}),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = bytearray()
    with os.fdopen(ours, "rb", buffering=0) as screen:
        try:
            while part := screen.read(65_536):
                shown += part
        except OSError:
            pass  # Linux says so when the other side has closed
    process.wait(30.0)
    return shown.decode()


def eventually(holds: Callable[[], object], *, within_s: float = 20.0) -> None:
    """Wait for a state that another process brings about."""
    never, deadline = Event(), time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, f"not within {within_s:.0f} s"
        never.wait(0.05)


class Started:
    """A command in the background; killed at the end of the block if it still runs."""

    def __init__(self, *arguments: str | Path, folder: Path, env: Mapping[str, str] | None = None) -> None:
        self._arguments = [PROGRAM, *map(str, arguments)]
        self._folder = folder
        self._env = environment(env or {})
        self._lines: dict[str, list[str]] = {"out": [], "err": []}
        self._changed = Condition()

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            self._arguments,
            cwd=self._folder,
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self._readers = [
            Thread(target=self._read, args=("out", self.process.stdout), daemon=True),
            Thread(target=self._read, args=("err", self.process.stderr), daemon=True),
        ]
        for reader in self._readers:
            reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.ended()

    def _read(self, name: str, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                with self._changed:
                    self._lines[name].append(line)
                    self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def says(self, text: str, *, within_s: float = 20.0) -> str:
        """Wait for a line, on either stream, that holds the text; returns it."""
        with self._changed:
            found = self._changed.wait_for(lambda: self._line_with(text) or self._silent(), within_s)
            line = self._line_with(text)
        assert found, f"not said within {within_s:.0f} s: {text!r}; but:\n{self._so_far()}"
        assert line is not None, f"ended without saying {text!r}:\n{self._so_far()}"
        return line

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def ended(self, *, within_s: float = 20.0) -> Ended:
        """Wait until it has ended by itself."""
        status = self.process.wait(within_s)
        for reader in self._readers:
            reader.join(within_s)
        done = Ended(status=status, out="".join(self._lines["out"]), err="".join(self._lines["err"]))
        assert TRACEBACK not in done.err, done.err
        return done

    def _line_with(self, text: str) -> str | None:
        return next((line for lines in self._lines.values() for line in lines if text in line), None)

    def _silent(self) -> bool:
        return not any(reader.is_alive() for reader in self._readers)

    def _so_far(self) -> str:
        return "".join([*self._lines["out"], *self._lines["err"]])
