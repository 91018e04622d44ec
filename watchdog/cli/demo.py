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

from watchdog.cli import facts
from watchdog.cli.exits import FAILED, OK, err, out, say
from watchdog.cli.logs import set_up_logging
from watchdog.cli.sandbox import OpenSandbox, Sandbox
from watchdog.config.settings import LogLevel, LogSettings
from watchdog.core import words
from watchdog.core.incident import Recovery
from watchdog.core.watch import Verdict
from watchdog.daemon import Daemon
from watchdog.embedded.sample import sample_traffic
from watchdog.embedded.slack_workspace import SlackWorkspace
from watchdog.embedded.traffic import Traffic
from watchdog.notify.slack import SlackNotifier
from watchdog.notify.terminal import TerminalNotifier
from watchdog.store import incidents, watches

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from rich.console import Console

    from watchdog.core.incident import Incident
    from watchdog.core.notice import Notice
    from watchdog.core.watch import Watch
    from watchdog.jobs.deps import Deps
    from watchdog.notify.protocol import Notifier, Posted

HARMLESS = ("happy-numbers", "1.0.0", "1.1.0")
HARMFUL = ("is-prime", "1.0.0", "1.2.0")
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
            report = _report(world, deps, slack)
        report["wall_s"] = round(time.monotonic() - began, 1)
        if console is None:
            sys.stdout.write(json.dumps(report, indent=2) + "\n")
        else:
            _conclude(console, report, keep=keep)
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
    harmless = _watch(deps, HARMLESS[0])
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


def _watch(deps: Deps, slug: str) -> Watch | None:
    with deps.store.read() as connection:
        return next((w for w in watches.all_watches(connection) if w.prompt_slug == slug), None)


def _calls(deps: Deps, slug: str) -> int:
    watch = _watch(deps, slug)
    return 0 if watch is None else watch.candidate.calls


def _verified(deps: Deps) -> bool:
    with deps.store.read() as connection:
        found = incidents.all_incidents(connection)
        return any(i.recovery not in (Recovery.PENDING, Recovery.VERIFYING) for i in found)


def _all_said(deps: Deps) -> bool:
    from watchdog.store import outbox

    with deps.store.read() as connection:
        return not outbox.waiting(connection)


def _report(world: Sandbox, deps: Deps, slack: SlackWorkspace) -> dict[str, Any]:
    """What `--json` prints."""
    promotions = [_promotion_facts(deps, *HARMLESS), _promotion_facts(deps, *HARMFUL)]
    with deps.store.read() as connection:
        found = incidents.all_incidents(connection)
        incident = facts.incident_facts(connection, found[0]) if found else None
    audit = _audit(world)
    roots = slack.root_messages()
    harmless, harmful = promotions
    ok = (
        harmless["verdict"] == Verdict.OK.value
        and harmless["action"] == "none"
        and harmful["action"] == "revert"
        and incident is not None
        and incident["state"] == "done"
        and incident["recovery"] == Recovery.RECOVERED.value
        and len(found) == 1
        and sum(entry["revert"] for entry in audit) == 1
        and len(roots) == 1
    )
    return {
        "ok": ok,
        "promotions": promotions,
        "incident": None
        if incident is None
        else {
            "id": incident["id"],
            "prompt": incident["prompt"],
            "target": incident["target"],
            "state": incident["state"],
            "states": [{"state": e["to"], "at": e["at"], "why": e["detail"]} for e in incident["history"]],
            "recovery": incident["recovery"],
            "recovery_reason": incident["recovery_reason"],
            # Of the platform as it runs now: after a restart it has another port.
            "compare_url": _compare_url(world, found[0]),
        },
        "audit": audit,
        "slack": {
            "root_messages": len(roots),
            "replies": sum(len(slack.replies(root.ts)) for root in roots),
            "text": roots[0].text if roots else None,
        },
    }


def _promotion_facts(deps: Deps, slug: str, before: str, after: str) -> dict[str, Any]:
    watch = _watch(deps, slug)
    if watch is None:
        return {"prompt": slug, "from": before, "to": after, "verdict": None, "action": "none"}
    with deps.store.read() as connection:
        seen = facts.watch_facts(connection, watch)
        acted = any(i.watch_id == watch.id for i in incidents.all_incidents(connection))
    tripped = [r for r in seen["rules"] if r["tripped_after"] is not None and r["action"] != "alert"]
    return {
        "prompt": slug,
        "from": before,
        "to": after,
        "verdict": watch.verdict.value,
        "reason": watch.reason,
        "calls_seen": watch.candidate.calls,
        "calls_to_verdict": tripped[0]["tripped_after"] if tripped else None,
        "rule": tripped[0]["rule"] if tripped else None,
        "action": "revert" if acted else "none",
    }


def _compare_url(world: Sandbox, incident: Incident) -> str:
    saga = incident.saga
    client = world.client()
    try:
        return client.compare_url(saga.prompt_id, saga.bad_version_id, saga.target_version_id)
    finally:
        client.close()


def _audit(world: Sandbox) -> list[dict[str, Any]]:
    """The platform's own record, read over HTTP."""
    labels = {i: f"v{label}" for p in world.prompts.values() for label, i in p.versions.items()}
    slugs = {p.prompt_id: slug for slug, p in world.prompts.items()}
    client = world.client()
    try:
        found = client.promotions(since=world.clock.now().replace(year=2000))
    finally:
        client.close()
    return [
        {
            "prompt": slugs.get(p.prompt_id, p.prompt_id),
            "at": facts.moment(p.at),
            "from": labels.get(p.from_version_id or "", p.from_version_id),
            "to": labels.get(p.to_version_id, p.to_version_id),
            "actor": p.actor_id,
            "actor_type": p.actor_type.value,
            "revert": p.revert,
            "reason": p.note or None,
        }
        for p in found
    ]


def _conclude(console: Console, report: dict[str, Any], *, keep: bool) -> None:
    harmless, harmful = report["promotions"]
    incident = report["incident"] or {}
    slack = report["slack"]
    address = incident.get("compare_url", words.NOTHING)
    lines = (
        "",
        f"harmless  {_left_alone(harmless)}",
        f"harmful   {_reverted(harmful)}",
        f"rollback  {_rolled_back(incident)}",
        f"audit     {_audited(report['audit'])}",
        f"Slack     {words.count(slack['root_messages'], 'message')} with {slack['replies']} replies in its thread",
        f"compare   {address}" if keep else f"compare   {address} (closed now; --keep leaves it open)",
        "",
        f"The demo went {'' if report['ok'] else 'NOT '}as it should, in {report['wall_s']:.1f} s of your time.",
    )
    for line in lines:
        say(console, line)


def _left_alone(seen: dict[str, Any]) -> str:
    done = "left alone" if seen["action"] == "none" else "NOT left alone"
    calls = words.count(seen.get("calls_seen", 0), "call")
    return f"{seen['prompt']} v{seen['from']} -> v{seen['to']}: {done}, {seen['verdict']} over {calls}"


def _reverted(seen: dict[str, Any]) -> str:
    promotion = f"{seen['prompt']} v{seen['from']} -> v{seen['to']}"
    if seen["action"] == "none":
        return f"{promotion}: NOT reverted, {seen['verdict']}"
    return f"{promotion}: {seen['verdict']} after {seen['calls_to_verdict']} calls (rule {seen['rule']})"


def _rolled_back(incident: dict[str, Any]) -> str:
    if not incident:
        return "none"
    return f"{incident['prompt']} back to {incident['target']}: {incident['state']}, and {incident['recovery']}"


def _audited(audit: list[dict[str, Any]]) -> str:
    reverts = [entry for entry in audit if entry["revert"]]
    by = ", ".join(f"by {entry['actor_type']} {entry['actor']}, noted {entry['reason']}" for entry in reverts)
    return f"{words.count(len(reverts), 'revert')} {by}"


def _keep(console: Console | None, world: Sandbox) -> None:
    from watchdog.cli.running import until_signal

    sys.stdout.flush()
    say(err(), f"The platform stays on {world.base_url} until Ctrl-C.")
    if console is not None:
        say(console, f"Look around: promptwatch status --store sqlite:///{world.folder}/watchdog.db")
    until_signal()
