"""
`demo`: the whole job within a minute, on calls that were really made.

A harmless promotion is left alone; a harmful one is detected, reverted, audited, announced and verified; and one that
is caught in its provider's incident is left alone as well. Only the clock is faster; the daemon, HTTP and SQLite are
the real ones. The story itself is in `acts`.
"""

from __future__ import annotations

import json
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from watchdog.cli.acts import Stage, play
from watchdog.cli.exits import FAILED, OK, err, out, say
from watchdog.cli.logs import set_up_logging
from watchdog.cli.outcome import conclude, report_of
from watchdog.cli.provider_incident import ProviderIncident
from watchdog.cli.sandbox import OpenSandbox, Sandbox
from watchdog.config.settings import LogLevel, LogSettings
from watchdog.daemon import Daemon, Signals
from watchdog.embedded.sample import sample_traffic
from watchdog.embedded.slack_workspace import SlackWorkspace
from watchdog.embedded.traffic import Traffic
from watchdog.notify.slack import SlackNotifier
from watchdog.notify.terminal import TerminalNotifier

if TYPE_CHECKING:
    from types import FrameType

    from rich.console import Console

    from watchdog.core.notice import Notice
    from watchdog.notify.protocol import Notifier, Posted

_SLACK_TOKEN = "xoxb-demo"  # noqa: S105 - opens nothing but the demo's own stand-in
_CHANNEL = "C0DEMO0001"
# Of all prompts together, on the demo's clock.
_CALLS_PER_S = 0.6


class ShownSlack:
    """Slack, and a copy of every message for the person at the terminal."""

    def __init__(self, slack: Notifier, copy: TerminalNotifier | None) -> None:
        self._slack = slack
        self._copy = copy

    @property
    def name(self) -> str:
        return self._slack.name

    def deliver(self, notice: Notice, *, root: Posted | None, maybe_sent: bool) -> Posted:
        posted = self._slack.deliver(notice, root=root, maybe_sent=maybe_sent)
        if self._copy is not None:
            self._copy.deliver(notice, root=root, maybe_sent=False)
        return posted


def run(*, as_json: bool, keep: bool, folder: Path | None, speed: float) -> None:
    """Raises: AddressInUse, StoreError; typer.Exit with status 1 when the demo did not show what it is to show."""
    set_up_logging(LogSettings(level=LogLevel.ERROR))
    began = time.monotonic()
    signal.signal(signal.SIGTERM, _leave)
    with ExitStack() as stack:
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="promptwatch-demo-")))
        world = stack.enter_context(OpenSandbox(folder, speed=speed)).world
        slack = SlackWorkspace(folder / "slack.db", token=_SLACK_TOKEN, channel=_CHANNEL)
        slack_url = slack.start()
        stack.callback(slack.stop)
        console = None if as_json else out()
        notifier = ShownSlack(
            SlackNotifier(token=lambda: _SLACK_TOKEN, channel=_CHANNEL, base_url=slack_url),
            None if console is None else TerminalNotifier(console),
        )
        deps = world.deps(notifier)
        incident = ProviderIncident(world)
        incident.resume()
        _begin(console, world)
        with Daemon(deps), Traffic(world.base_url, world.token, world.clock, _CALLS_PER_S, sample_traffic()):
            play(Stage(world=world, deps=deps, incident=incident, console=console))
            report = report_of(world, deps, slack, incident.span)
        report["wall_s"] = round(time.monotonic() - began, 1)
        if console is None:
            sys.stdout.write(json.dumps(report, indent=2) + "\n")
        else:
            conclude(console, report, keep=keep)
        if keep:
            _keep(console, world)
    raise typer.Exit(OK if report["ok"] else FAILED)


def _begin(console: Console | None, world: Sandbox) -> None:
    if console is None:
        return
    speed = world.clock.speed
    say(console, f"A demonstration. Its clock runs {speed:g} times as fast as yours: times are its own.")
    say(console, f"A PromptHelm-compatible platform answers on {world.base_url}; Slack is a stand-in.")


def _leave(number: int, _frame: FrameType | None) -> None:
    """Unwinds, so that nothing is left behind in the temporary folder."""
    raise SystemExit(128 + number)


def _keep(console: Console | None, world: Sandbox) -> None:
    sys.stdout.flush()
    with Signals() as signals:
        say(err(), f"The platform stays on {world.base_url} until Ctrl-C.")
        if console is not None:
            say(console, f"Look around: promptwatch status --store sqlite:///{world.folder}/watchdog.db")
            sys.stdout.flush()
        signals.wait()
