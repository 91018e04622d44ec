"""
The same organisation, driven by Hypothesis: it draws what happens next, and tells the shortest story of a failure.

Everything is explicit and nothing is left to a seed: which request meets which fault, at which commit the process dies.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import select

from tests.memory import MEMORY
from tests.simulation.faults import Fault, Weather
from tests.simulation.invariants import Aftermath, at_any_time, standing
from tests.simulation.people import KINDS
from tests.simulation.simulation import Setting, Simulation
from tests.simulation.traffic import Outage, Silence
from tests.sqlite import empty_database
from watchdog.config.packs import load_rules
from watchdog.core.commands import Command, CommandKind, Outcome
from watchdog.core.guards import Limits
from watchdog.core.holds import Source, Thrown
from watchdog.core.promotion import note_for
from watchdog.core.rollback import MOVING, TRANSITIONS
from watchdog.core.rules import Action
from watchdog.errors import StoreError
from watchdog.jobs import advance, send
from watchdog.jobs import commands as commanding
from watchdog.jobs.deps import Policy
from watchdog.store import commands, outbox
from watchdog.store.record_tables import audit
from watchdog.store.tables import commands as rows

if TYPE_CHECKING:
    from watchdog.jobs.deps import Deps

_PROMPTS = 2
_PACKS = (("default",), ("strict",), ("default", "latency-guard"))
_OVER = frozenset(state for state, following in TRANSITIONS.items() if not following)
_WHO = ("ana", "bob")
_SWITCH = Thrown(source=Source.ENVIRONMENT, where="$PROMPTWATCH_HOLD", why="release")

prompts = st.integers(0, _PROMPTS - 1)
kinds = st.sampled_from(KINDS)
faults = st.sampled_from([f for f in Fault if f is not Fault.NONE])
# What the next requests meet, one after the other.
spells = st.lists(st.one_of(st.just(Fault.NONE), faults), min_size=1, max_size=5)


@dataclass
class ToldWeather(Weather):
    """
    Attributes:
        platform_next, slack_next, commit_next: what the next requests and commits meet; after that all is well.
    """

    platform_next: list[Fault] = field(default_factory=list)
    slack_next: list[Fault] = field(default_factory=list)
    commit_next: list[Fault] = field(default_factory=list)

    def of_platform(self) -> Fault:
        return _next(self.platform_next)

    def of_slack(self) -> Fault:
        return _next(self.slack_next)

    def of_commit(self) -> Fault:
        return _next(self.commit_next)

    def calm(self) -> None:
        self.platform_next, self.slack_next, self.commit_next = [], [], []


def _next(waiting: list[Fault]) -> Fault:
    return waiting.pop(0) if waiting else Fault.NONE


class Organisation(RuleBasedStateMachine):
    """What happens, one thing at a time; `wrap` hands the daemon something else than its parts, to break it."""

    steps = 0

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(dir=MEMORY))
        (self.folder / "simulation-1.db").write_bytes(empty_database())
        self.switch: tuple[Thrown, ...] = ()
        setting = Setting(seed=1, prompts=_PROMPTS, days=30.0, wrap=self._wrapped)
        self.sim = Simulation(setting, self.folder)
        self.weather = ToldWeather(np.random.default_rng(1))
        self.sim.weather = self.sim.platform.weather = self.sim.slack.weather = self.weather
        self.sim.store.close()
        self.sim.start()
        self.asked = 0
        # By scope, a prompt's id or none for all: since when a hold without an end is surely in force.
        self.held: dict[str, datetime] = {}
        self.known: set[str] = set()
        self.thrown_since: datetime | None = None
        self.over: dict[str, datetime] = {}
        self.checked = 0
        self.limits_changed = False

    def wrap(self, deps: Deps) -> Deps:
        return deps

    def _wrapped(self, deps: Deps) -> Deps:
        return self.wrap(replace(deps, thrown=lambda: self.switch))

    @initialize()
    def adopt(self) -> None:
        """The first start: what is on production is adopted."""
        self.sim._once()

    # What people do.

    @rule(prompt=prompts, kind=kinds)
    def promote(self, prompt: int, kind) -> None:
        of = f"prm_{prompt}"
        self.sim.platform.human_promotes(of, self.sim.platform.save(of, kind.behaviour), "ana@example.com")

    @rule(prompt=prompts, kind=st.sampled_from(KINDS[1:3]))
    def promote_harm_and_find_it(self, prompt: int, kind) -> None:
        """So that most stories have something to tell."""
        self.promote(prompt, kind)
        for _ in range(12):
            self.sim.calendar.pass_by(timedelta(seconds=30))
            self.sim.outlive(self.sim.look)
            if any(i.state in MOVING for i in self._after().incidents.values()):
                return

    @rule(prompt=prompts, back=st.integers(0, 3))
    def go_back(self, prompt: int, back: int) -> None:
        """To any version that was on production, the present one included."""
        pointers = self.sim.platform.prompts_[f"prm_{prompt}"].pointers
        self.sim.platform.human_promotes(
            f"prm_{prompt}", pointers[-1 - min(back, len(pointers) - 1)], "bob@example.com"
        )

    @rule(prompt=prompts)
    def edit(self, prompt: int) -> None:
        """A version that nobody promotes."""
        self.sim.platform.save(f"prm_{prompt}", KINDS[0].behaviour)

    @rule(
        kind=st.sampled_from(list(CommandKind)),
        which=st.integers(0, 3),
        prompt=st.one_of(st.none(), prompts),
        for_s=st.sampled_from([None, 60, 600, 7200]),
        off=st.booleans(),
    )
    def command(self, kind: CommandKind, which: int, prompt: int | None, for_s: int | None, off: bool) -> None:
        """About an incident, also one that is over, or about a prompt or all."""
        found = sorted(self._after().incidents.values(), key=lambda i: i.opened_at)
        of_incident = kind in (CommandKind.APPROVE, CommandKind.CANCEL, CommandKind.UNDO)
        subject = "" if prompt is None else f"prompt-{prompt}"
        if of_incident:
            subject = found[-1 - which % len(found)].id if found else "no-such-incident"
        arguments: dict[str, object] = {} if of_incident or for_s is None else {"for_s": for_s}
        if off and kind in (CommandKind.SNOOZE, CommandKind.MUTE):
            arguments = {"off": True}
        self.asked += 1
        command = Command(
            id=f"command-{self.asked}",
            kind=kind,
            subject=subject,
            by=_WHO[self.asked % 2],
            requested_at=self.sim.clock.now(),
            arguments=arguments,
        )
        with self.sim.store.write() as connection:
            commands.ask(connection, command)

    @rule()
    def throw_or_take_back_the_switch(self) -> None:
        self.switch = () if self.switch else (_SWITCH,)
        self.thrown_since = self.sim.calendar.now if self.switch else None

    @rule(
        packs=st.sampled_from(_PACKS),
        most=st.sampled_from(list(Action)),
        per_hour=st.sampled_from([3, 1, 0]),
        cooldown_min=st.sampled_from([360, 1]),
    )
    def reload(self, packs: tuple[str, ...], most: Action, per_hour: int, cooldown_min: int) -> None:
        """Another configuration, by one assignment, as a reload does it."""
        limits = Limits(per_hour=per_hour, cooldown=timedelta(minutes=cooldown_min))
        self.sim.rules = load_rules(packs)
        self.sim.terms = replace(self.sim.terms, most=most, limits=limits, countdown=timedelta(minutes=2))
        self.sim.deps.standing.policy = Policy(rules=self.sim.rules, terms=self.sim.terms)
        # What was allowed under the old limits was allowed.
        self.limits_changed = True

    # What the world does.

    @rule(seconds=st.sampled_from([1, 5, 15, 60, 300, 1800, 3 * 3600]))
    def time_passes(self, seconds: int) -> None:
        self.sim.calendar.pass_by(timedelta(seconds=seconds))

    @rule(seconds=st.sampled_from([-3600, -60, 60, 3600]))
    def somebody_sets_the_clock(self, seconds: int) -> None:
        self.sim.clock.ahead += timedelta(seconds=seconds)

    @rule(minutes=st.sampled_from([5, 30]), failing=st.sampled_from([0.5, 1.0]))
    def the_provider_fails(self, minutes: int, failing: float) -> None:
        now = self.sim.calendar.now
        outage = Outage(since=now, until=now + timedelta(minutes=minutes), failing=failing, slower=2.0)
        self.sim.platform.traffic.outages.append(outage)

    @rule(prompt=prompts, minutes=st.sampled_from([5, 60]))
    def nobody_calls(self, prompt: int, minutes: int) -> None:
        now = self.sim.calendar.now
        silence = Silence(index=prompt, since=now, until=now + timedelta(minutes=minutes))
        self.sim.platform.traffic.silences.append(silence)

    @rule(met=spells)
    def platform_trouble(self, met: list[Fault]) -> None:
        self.weather.platform_next = met

    @rule(met=spells)
    def slack_trouble(self, met: list[Fault]) -> None:
        self.weather.slack_next = met

    @rule(after=st.integers(0, 12), fate=st.sampled_from([Fault.CRASH_BEFORE, Fault.CRASH_AFTER]))
    def the_process_will_die(self, after: int, fate: Fault) -> None:
        """At one of the next commits."""
        self.weather.commit_next = [Fault.NONE] * after + [fate]

    # What the daemon does.

    @rule(times=st.integers(1, 6), every_s=st.sampled_from([5, 30]))
    def look(self, times: int, every_s: int) -> None:
        for _ in range(times):
            self.sim.calendar.pass_by(timedelta(seconds=every_s))
            self.sim.outlive(self.sim.look)

    @rule(times=st.integers(1, 4), every_s=st.sampled_from([0, 10]))
    def act(self, times: int, every_s: int) -> None:
        """Commands, and one step for each rollback."""
        for _ in range(times):
            self.sim.calendar.pass_by(timedelta(seconds=every_s))
            self.sim.outlive(self._act)

    @rule()
    def tell(self) -> None:
        with suppress(StoreError):
            self.sim.outlive(lambda: send.run(self.sim.deps, self.sim.clock.now()))

    def _act(self) -> None:
        commanding.run(self.sim.deps, self.sim.clock.now())
        advance.run(self.sim.deps, self.sim.clock.now())

    # What must hold.

    def _after(self) -> Aftermath:
        return standing(self.sim, self.sim.store)

    @invariant()
    def all_is_as_it_must_be(self) -> None:
        type(self).steps += 1
        after = self._after()
        found = at_any_time(after)
        if self.limits_changed:
            found = [what for what in found if not what.startswith("no_more_than_the_guards")]
        self._note_holds(after_the_check=False)
        found += self._sent_although(after)
        found += self._answered()
        self._note_holds(after_the_check=True)
        assert [] == found, "; ".join(found)

    def _sent_although(self, after: Aftermath) -> list[str]:
        """What was sent since the last step: not on hold, and for nothing that is over."""
        found = []
        fresh = [e for e in after.simulation.platform.log[self.checked :] if e in after.own]
        self.checked = len(after.simulation.platform.log)
        for e in fresh:
            sent_at = e.sent_at or e.promotion.at
            for scope in ("", e.promotion.prompt_id):
                since = self.held.get(scope)
                if since is not None and since < sent_at:
                    found.append(f"{e.promotion.id} was sent at {sent_at}, on hold since {since}")
            if self.thrown_since is not None and self.thrown_since < sent_at:
                found.append(f"{e.promotion.id} was sent at {sent_at}, the switch was thrown at {self.thrown_since}")
            for incident_id, over_at in self.over.items():
                if e.promotion.note == note_for(incident_id) and over_at < sent_at:
                    found.append(f"{e.promotion.id} was sent at {sent_at} for {incident_id}, over since {over_at}")
        for incident in after.incidents.values():
            if incident.state in _OVER:
                self.over.setdefault(incident.id, self.sim.calendar.now)
        return found

    def _answered(self) -> list[str]:
        """Each command that was executed has one answer and one entry in the audit; what it held is remembered."""
        with self.sim.store.read() as connection:
            everything = [commands.find(connection, row.id) for row in connection.execute(select(rows.c.id))]
            entries = connection.execute(select(audit.c.detail).where(audit.c.kind.startswith("asked_"))).scalars()
            entered = Counter(json.loads(detail)["command"] for detail in entries)
        found = []
        for command in (c for c in everything if c is not None):
            done = command.executed_at is not None
            if done != (command.outcome is not None) or done != bool(command.answer):
                found.append(
                    f"{command.id} was executed at {command.executed_at}, and the answer is {command.answer!r}"
                )
            if command.outcome is Outcome.FAILED:
                found.append(f"{command.id} ({command.kind.value} {command.subject}) met a bug")
            if entered[command.id] != (1 if done else 0):
                found.append(f"{command.id} is {entered[command.id]} times in the audit, executed: {done}")
        return found

    def _note_holds(self, after_the_check: bool) -> None:
        """One that was ended may be gone since any moment of this step; one that was begun is in force at its end."""
        with self.sim.store.read() as connection:
            ids = [row.id for row in connection.execute(select(rows.c.id).order_by(rows.c.seq))]
            fresh = [commands.find(connection, command) for command in ids if command not in self.known]
        now = self.sim.calendar.now
        for command in fresh:
            if command is None or command.executed_at is None:
                continue
            scope = command.subject.replace("prompt-", "prm_")
            if not after_the_check:
                if command.kind in (CommandKind.RESUME, CommandKind.HOLD):
                    self.held.pop(scope, None)
                continue
            self.known.add(command.id)
            for_s = command.arguments.get("for_s")
            if command.kind is CommandKind.RESUME:
                self.held.pop(scope, None)
            elif command.kind is CommandKind.HOLD and command.outcome is Outcome.DONE and for_s is None:
                self.held[scope] = now

    def teardown(self) -> None:
        """Then all is calm, and what is going on comes to an end; unless the story ended with a failure."""
        try:
            self.weather.calm()
            for _ in range(40):
                after = self._after()
                if not any(i.state in MOVING for i in after.incidents.values()) and not self._unsent():
                    break
                self.sim.calendar.pass_by(timedelta(seconds=30))
                self.sim._once()
            self.all_is_as_it_must_be()
            after = self._after()
            moving = [f"{i.id} stands in {i.state.value}" for i in after.incidents.values() if i.state in MOVING]
            left = moving + [f"{key} was not told" for key in self._unsent()]
            assert [] == left, "; ".join(left)
        finally:
            self.close()

    def close(self) -> None:
        self.sim.store.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _unsent(self) -> list[str]:
        with self.sim.store.read() as connection:
            return [parcel.key for parcel in outbox.waiting(connection)]
