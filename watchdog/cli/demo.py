"""
`demo`: the whole job within a minute, on calls that were really made.

Two prompts have recorded calls of the last day. A harmless promotion of one is left alone; a harmful promotion of the
other is detected, reverted, audited, announced and verified. Only the clock is faster; the daemon, HTTP and SQLite are
the real ones. Each step looks whether it was done, so that a demo that was killed goes on where it was.
"""

from __future__ import annotations

import json
import signal
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from watchdog.cli.exits import FAILED, OK, err, out, say
from watchdog.cli.logs import set_up_logging
from watchdog.cli.outcome import HARMFUL, HARMLESS, conclude, report_of, watch_over
from watchdog.cli.sandbox import OpenSandbox, Sandbox
from watchdog.config.settings import LogLevel, LogSettings
from watchdog.core.incident import Recovery
from watchdog.daemon import Daemon, Signals
from watchdog.embedded.sample import sample_traffic
from watchdog.embedded.slack_workspace import SlackWorkspace
from watchdog.embedded.traffic import Traffic
from watchdog.notify.slack import SlackNotifier
from watchdog.notify.terminal import TerminalNotifier
from watchdog.store import incidents

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from rich.console import Console

    from watchdog.core.notice import Notice
    from watchdog.jobs.deps import Deps
    from watchdog.notify.protocol import Notifier, Posted

_WHO = "ana@example.com"
_SLACK_TOKEN = "xoxb-demo"  # noqa: S105 - opens nothing but the demo's own stand-in
_CHANNEL = "C0DEMO0001"
_CALLS_PER_S = 0.4
# The harmless promotion is left alone over this many judged calls before the harmful one comes.
_ENOUGH_HARMLESS = 60
# Each step may take this long, in seconds of the wall and in seconds of the demo's clock, whichever is longer.
_LONGEST_S = 180.0
_LONGEST_SCALED_S = 1800.0
_POLL_S = 0.1


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


class Story:
    """Tells what happens, on the demo's own clock; silent for `--json`."""

    def __init__(self, console: Console | None, world: Sandbox) -> None:
        self._console = console
        self._world = world

    def begin(self) -> None:
        if self._console is None:
            return
        speed = self._world.clock.speed
        say(
            self._console,
            f"A demonstration. Its clock runs {speed:g} times as fast as yours: all times below are its own.",
        )
        say(self._console, f"A PromptHelm-compatible platform answers on {self._world.base_url}; Slack is a stand-in.")

    def say(self, line: str) -> None:
        if self._console is not None:
            say(self._console, f"{self._world.clock.now():%H:%M:%S}  {line}")


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
        with Daemon(deps), Traffic(world.base_url, world.token, world.clock, _CALLS_PER_S, _traffic()):
            _direct(world, deps, Story(console, world))
            report = report_of(world, deps, slack)
        report["wall_s"] = round(time.monotonic() - began, 1)
        if console is None:
            sys.stdout.write(json.dumps(report, indent=2) + "\n")
        else:
            conclude(console, report, keep=keep)
        if keep:
            _keep(console, world)
    raise typer.Exit(OK if report["ok"] else FAILED)


def _traffic() -> dict[str, Any]:
    """Only the two prompts that the story is about."""
    return {slug: calls for slug, calls in sample_traffic().items() if slug in (HARMLESS[0], HARMFUL[0])}


def _direct(world: Sandbox, deps: Deps, story: Story) -> None:
    """The story, step by step."""
    story.begin()
    _wait(world, "the first look at the platform", lambda: _adopted(deps))
    story.say(
        f"the watchdog looks on; {HARMLESS[0]} and {HARMFUL[0]} have recorded calls of the last 24 h, and get more"
    )
    _promote(world, *HARMLESS, story=story, remark="a harmless change")
    _wait(world, "calls of the harmless version", lambda: _calls(deps, HARMLESS[0]) >= _ENOUGH_HARMLESS)
    harmless = watch_over(deps, HARMLESS[0])
    if harmless is not None:
        story.say(f"{HARMLESS[0]} v{HARMLESS[2]} is left alone: {harmless.verdict.value}, {harmless.reason}")
    _promote(world, *HARMFUL, story=story, remark="shorter, cheaper, and wrong more often")
    _wait(world, "the recovery", lambda: _verified(deps))
    _wait(world, "the last message", lambda: _all_said(deps))


def _promote(world: Sandbox, slug: str, before: str, after: str, *, story: Story, remark: str) -> None:
    """As a person would; not again when the audit log shows that it was done."""
    prompt = world.prompts[slug]
    client = world.client()
    try:
        done = client.promotions(since=world.clock.now().replace(year=2000), prompt_id=prompt.prompt_id)
    finally:
        client.close()
    if any(p.to_version_id == prompt.versions[after] for p in done):
        return
    story.say(f"{_WHO} promotes {slug} v{before} -> v{after} ({remark})")
    world.embedded.admin.promote(prompt.prompt_id, prompt.versions[after], actor_id=_WHO)


def _leave(number: int, _frame: FrameType | None) -> None:
    """Unwinds, so that nothing is left behind in the temporary folder."""
    raise SystemExit(128 + number)


def _wait(world: Sandbox, what: str, reached: Callable[[], bool]) -> None:
    """Poll a condition; the demo gives up rather than hang."""
    longest_s = max(_LONGEST_S, _LONGEST_SCALED_S / world.clock.speed)
    deadline = time.monotonic() + longest_s
    never = threading.Event()
    while not reached():
        if time.monotonic() > deadline:
            sys.stderr.write(f"promptwatch: the demo waited {longest_s:.0f} s for {what} in vain\n")
            return
        never.wait(_POLL_S)


def _adopted(deps: Deps) -> bool:
    from watchdog.store import journal

    with deps.store.read() as connection:
        return journal.cursor(connection, "promotions") is not None


def _calls(deps: Deps, slug: str) -> int:
    watch = watch_over(deps, slug)
    return 0 if watch is None else watch.candidate.calls


def _verified(deps: Deps) -> bool:
    with deps.store.read() as connection:
        found = incidents.all_incidents(connection)
        return any(i.recovery not in (Recovery.PENDING, Recovery.VERIFYING) for i in found)


def _all_said(deps: Deps) -> bool:
    from watchdog.store import outbox

    with deps.store.read() as connection:
        return not outbox.waiting(connection)


def _keep(console: Console | None, world: Sandbox) -> None:
    sys.stdout.flush()
    with Signals() as signals:
        say(err(), f"The platform stays on {world.base_url} until Ctrl-C.")
        if console is not None:
            say(console, f"Look around: promptwatch status --store sqlite:///{world.folder}/watchdog.db")
            sys.stdout.flush()
        signals.wait()
