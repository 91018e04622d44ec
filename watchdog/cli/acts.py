"""
The demo's story, act by act, on a stage that is the real daemon before a real platform.

Each step looks whether it was done, so that a demo that was killed goes on where it was.
"""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from watchdog.cli.exits import say
from watchdog.cli.outcome import CAUGHT_IN_IT, HARMFUL, HARMLESS, Promoted, upstream_notices, watch_over
from watchdog.cli.provider_incident import PROVIDER, STATUS
from watchdog.core import words
from watchdog.core.incident import Recovery
from watchdog.core.watch import Verdict
from watchdog.store import findings, incidents, journal, outbox, watches

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from watchdog.cli.provider_incident import ProviderIncident
    from watchdog.cli.sandbox import Sandbox
    from watchdog.jobs.deps import Deps

_WHO = "ana@example.com"
# The harmless promotion is left alone over this many judged calls before the harmful one comes.
_ENOUGH_HARMLESS = 30
# So many calls of the third version are judged before its provider fails: they are good.
_ENOUGH_BEFORE = 20
# The provider's incident lasts so long at least, on the demo's clock.
_INCIDENT = timedelta(minutes=3)
# Each step may take this long, in seconds of the wall and in seconds of the demo's clock, whichever is longer.
_LONGEST_S = 180.0
_LONGEST_SCALED_S = 1800.0
_POLL_S = 0.25


@dataclass(frozen=True, kw_only=True)
class Stage:
    """
    Attributes:
        console: where the story is told, on the demo's own clock; None is silence, for `--json`.
    """

    world: Sandbox
    deps: Deps
    incident: ProviderIncident
    console: Console | None

    def title(self, line: str) -> None:
        if self.console is not None:
            self.console.print()
            say(self.console, line)

    def say(self, line: str) -> None:
        if self.console is not None:
            say(self.console, f"{self.world.clock.now():%H:%M:%S}  {line}")

    def wait(self, what: str, reached: Callable[[], bool]) -> None:
        """Poll a condition; the demo gives up rather than hang."""
        longest_s = max(_LONGEST_S, _LONGEST_SCALED_S / self.world.clock.speed)
        deadline = time.monotonic() + longest_s
        never = threading.Event()
        while not reached():
            if time.monotonic() > deadline:
                sys.stderr.write(f"promptwatch: the demo waited {longest_s:.0f} s for {what} in vain\n")
                return
            never.wait(_POLL_S)


def play(stage: Stage) -> None:
    """The whole story."""
    for act in (_bad_prompt, _bad_provider):
        act(stage)
        stage.wait("the last message", lambda: _all_said(stage.deps))


def _bad_prompt(stage: Stage) -> None:
    """A harmless promotion is left alone, and a harmful one is reverted."""
    stage.title("Act 1: a good prompt and a bad one.")
    stage.wait("the first look at the platform", lambda: _adopted(stage.deps))
    n = len(stage.world.prompts)
    stage.say(f"the watchdog looks on: {n} prompts, a day of calls, more every second")
    _promote(stage, HARMLESS, remark="a harmless change")
    stage.wait("calls of the harmless version", lambda: _calls(stage.deps, HARMLESS.slug) >= _ENOUGH_HARMLESS)
    harmless = watch_over(stage.deps, HARMLESS.slug)
    if harmless is not None:
        calls = words.count(harmless.candidate.calls, "call")
        stage.say(f"{HARMLESS.slug} v{HARMLESS.after} is left alone: {harmless.verdict.value} over {calls}")
    _promote(stage, HARMFUL, remark="shorter, cheaper, wrong more often")
    stage.wait("the recovery", lambda: _verified(stage.deps))


def _bad_provider(stage: Stage) -> None:
    """A harmless promotion, and minutes later its provider fails for everybody: nothing is reverted."""
    stage.title("Act 2: a good prompt, and a provider that has a bad hour.")
    _promote(stage, CAUGHT_IN_IT, remark="harmless as well")
    stage.wait("calls of the third version", lambda: _calls(stage.deps, CAUGHT_IN_IT.slug) >= _ENOUGH_BEFORE)
    if stage.incident.begin():
        stage.say(f"{PROVIDER} has an incident: every call of every prompt fails ({STATUS})")
    stage.wait("word of the incident", lambda: bool(upstream_notices(stage.deps, CAUGHT_IN_IT.slug)))
    stage.wait("what the status page says of it", lambda: _diagnosed(stage.deps))
    stage.wait("the incident's length", lambda: _has_lasted(stage))
    if stage.incident.end():
        stage.say(f"{PROVIDER} is well again")
    stage.wait("word that the incident is over", lambda: _calm(stage.deps))


def _promote(stage: Stage, which: Promoted, *, remark: str) -> None:
    """As a person would; not again when the audit log shows that it was done."""
    world = stage.world
    prompt = world.prompts[which.slug]
    client = world.client()
    try:
        done = client.promotions(since=world.clock.now().replace(year=2000), prompt_id=prompt.prompt_id)
    finally:
        client.close()
    if any(p.to_version_id == prompt.versions[which.after] for p in done):
        return
    stage.say(f"ana promotes {which.slug} v{which.before} -> v{which.after}: {remark}")
    world.embedded.admin.promote(prompt.prompt_id, prompt.versions[which.after], actor_id=_WHO)


def _adopted(deps: Deps) -> bool:
    with deps.store.read() as connection:
        return journal.cursor(connection, "promotions") is not None


def _calls(deps: Deps, slug: str) -> int:
    watch = watch_over(deps, slug)
    return 0 if watch is None else watch.candidate.calls


def _verified(deps: Deps) -> bool:
    with deps.store.read() as connection:
        found = incidents.all_incidents(connection)
        return any(i.recovery not in (Recovery.PENDING, Recovery.VERIFYING) for i in found)


def _diagnosed(deps: Deps) -> bool:
    told = upstream_notices(deps, CAUGHT_IN_IT.slug)
    with deps.store.read() as connection:
        return bool(told) and findings.was_told(connection, told[0].notice.thread, 1)


def _has_lasted(stage: Stage) -> bool:
    span = stage.incident.span
    if span.began is None or span.over is not None:
        return True
    return stage.world.clock.now() - span.began >= _INCIDENT


def _calm(deps: Deps) -> bool:
    """People were told that it is over, for every prompt that is being watched."""
    with deps.store.read() as connection:
        struck = any(watch.verdict is Verdict.UPSTREAM for watch in watches.open_watches(connection))
    return not struck and len(upstream_notices(deps, CAUGHT_IN_IT.slug)) > 1


def _all_said(deps: Deps) -> bool:
    with deps.store.read() as connection:
        return not outbox.waiting(connection)
