"""Exit statuses, and the one frame in which errors become words on standard error."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

import typer
from rich.console import Console

from watchdog.errors import (
    AddressInUse,
    ConfigError,
    DaemonRunning,
    NotifyError,
    PlatformError,
    StoreError,
    WatchdogError,
)
from watchdog.notify.harmless import cleaned

if TYPE_CHECKING:
    from collections.abc import Iterator

OK = 0
FAILED = 1  # it ran, and the answer is no
USAGE = 2  # the command line or the configuration is wrong; nothing was started
UNAVAILABLE = 3  # the platform, the database, Slack or a port cannot be used just now


class _Output(Console):
    def on_broken_pipe(self) -> None:
        """rich would leave with status 1; `explained` decides that."""
        raise BrokenPipeError


def out() -> Console:
    """Standard output: colours and boxes in a terminal, plain lines in a pipe."""
    return _Output(highlight=False, soft_wrap=not sys.stdout.isatty())


def err() -> Console:
    return Console(stderr=True, highlight=False, soft_wrap=True)


def say(console: Console, line: str, *, style: str | None = None) -> None:
    """
    One line: the terminal folds it, so that an address or a command can be copied out of it. Nothing in it can steer
    the terminal: versions and people have names that strangers chose.
    """
    console.print(cleaned(line), markup=False, soft_wrap=True, style=style)


def stop(status: int, message: str) -> NoReturn:
    """Say why, and leave."""
    err().print(f"promptwatch: {cleaned(message)}", markup=False)
    raise typer.Exit(status)


@contextmanager
def explained() -> Iterator[None]:
    """Every error that we raise on purpose becomes its message and an exit status; never a traceback."""
    try:
        try:
            yield
        finally:
            # A reader that has left must be met here, and not when the interpreter ends.
            sys.stdout.flush()
    except ConfigError as exc:
        n = len(exc.issues)
        err().print(str(exc), markup=False)
        stop(USAGE, f"{n} problem{'' if n == 1 else 's'} in the configuration; nothing was started")
    except (StoreError, DaemonRunning, AddressInUse, PlatformError, NotifyError) as exc:
        stop(UNAVAILABLE, str(exc))
    except WatchdogError as exc:
        stop(FAILED, str(exc))
    except BrokenPipeError:
        # The reader of our output has left, as `head` does; that is no failure of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(OK) from None
    except OSError as exc:
        # Ports that only root may have, disks that are full, files of somebody else.
        stop(UNAVAILABLE, f"{exc.filename}: {exc.strerror}" if exc.filename else str(exc))
