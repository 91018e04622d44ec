"""
A whole world for the jobs: the embedded platform over HTTP, the stand-in for Slack, a real SQLite file, and a clock
that moves only when told.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Self

from tests.builders import T0, rule_set, success_rule
from tests.sqlite import empty_database
from watchdog.core.rules import Action, Metric, Rule, RuleSet, Statistic
from watchdog.core.terms import Terms
from watchdog.core.windows import WINDOW
from watchdog.embedded.recordings import RecordedCall
from watchdog.embedded.server import EmbeddedPlatform
from watchdog.embedded.slack_workspace import SlackWorkspace
from watchdog.embedded.tokens import Scope
from watchdog.jobs import advance, commands, detect, send, tick
from watchdog.jobs.claims import Lease, Shared, Unshared
from watchdog.jobs.deps import Deps, Policy, Standing
from watchdog.notify.slack import SlackNotifier
from watchdog.platforms.prompthelm import PromptHelm, PromptHelmOptions
from watchdog.store import incidents, watches
from watchdog.store.database import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from threading import Event

    from watchdog.core.incident import Incident
    from watchdog.core.watch import Watch
    from watchdog.embedded.slack_workspace import Message
    from watchdog.jobs.claims import Claims
    from watchdog.notify.protocol import Notifier
    from watchdog.platforms.protocol import PromptPlatform

GOOD = RecordedCall(latency_ms=800.0, cost_usd=0.01)
FAILED = RecordedCall(latency_ms=800.0, cost_usd=0.01, ok=False, error_code="VALIDATION_FAILED")
ALL_SCOPES = tuple(Scope)
DAY = timedelta(days=1)
# Stages that no test wants but those about them, which look as the daemon does.
BY_LOOKS_ONLY = frozenset({"evidence", "calibrate", "silence"})
LIMIT_RULE = Rule(name="floor", metric=Metric.SUCCESS, statistic=Statistic.LIMIT, limit_share=0.5)


@dataclass
class ManualClock:
    """Stands still until it is moved; waiting does not move it."""

    at: datetime = T0
    speed: float = 1.0

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()

    def wait(self, event: Event, seconds: float) -> bool:  # noqa: ARG002
        return event.is_set()

    def move(self, span: timedelta) -> None:
        self.at += span


@dataclass
class OwnClock:
    """
    The watchdog's clock; it goes with the platform's, until somebody sets it.

    Attributes:
        ahead: how far it is before the platform's.
    """

    platform: ManualClock
    ahead: timedelta = timedelta(0)
    speed: float = 1.0

    def now(self) -> datetime:
        return self.platform.now() + self.ahead

    def monotonic(self) -> float:
        return self.platform.monotonic()

    def wait(self, event: Event, seconds: float) -> bool:
        return self.platform.wait(event, seconds)


@dataclass
class PlatformClock:
    """
    The platform's clock; a delayed answer waits for the gate, in real time.

    Attributes:
        gate: what delayed requests wait for; None lets them pass at once.
    """

    base: ManualClock
    gate: Event | None = None
    speed: float = 1.0

    def now(self) -> datetime:
        return self.base.now()

    def monotonic(self) -> float:
        return self.base.monotonic()

    def wait(self, event: Event, seconds: float) -> bool:
        if self.gate is not None:
            self.gate.wait(10.0)
        return self.base.wait(event, seconds)


@dataclass
class World(ExitStack):
    """
    One prompt, `support-reply`, with v1 on production and 500 good calls in the last day, and v2 saved.

    Attributes:
        scopes: of the watchdog's token.
        timeout_s: the client's deadline, in real seconds; slack_timeout_s: of one request to Slack.
        segment_by: label of a call by which the watchdog tells requests apart; empty for none.
        store_of: opens the watchdog's database, by its URL; World closes it.
        lived: for how long v1 has been on production when the watchdog first looks.
        between: address of a proxy through which the watchdog reaches the platform; empty for none. slack_between: the
            same for Slack's Web API.
        database: address of an empty PostgreSQL database that replicas share; empty for a SQLite file.
    """

    folder: Path
    scopes: tuple[Scope, ...] = ALL_SCOPES
    timeout_s: float = 5.0
    slack_timeout_s: float = 10.0
    segment_by: str = ""
    between: str = ""
    slack_between: str = ""
    database: str = ""
    store_of: Callable[[str], Store] = Store
    lived: timedelta = timedelta(days=2)
    # Acting on what begins late as well: most tests here are about anything but when it began.
    rules: RuleSet = field(
        default_factory=lambda: rule_set(success_rule(weight=0.8, late_onset=Action.REVERT), LIMIT_RULE)
    )
    terms: Terms = field(default_factory=Terms)
    baseline_calls: int = 500
    baseline_failures: int = 5

    def __enter__(self) -> Self:
        ExitStack.__init__(self)
        super().__enter__()
        self.clock = ManualClock()
        self.own_clock = OwnClock(self.clock)
        self.platform_clock = PlatformClock(self.clock)
        self.platform = EmbeddedPlatform(self.folder / "platform.db", self.platform_clock, durable=False)
        admin = self.platform.admin
        self.prompt_id = admin.create_prompt("support-reply", "Support reply", at=T0 - self.lived - DAY)
        self.v1 = admin.save_version(
            self.prompt_id, system="Be kind.\nThink step by step.", temperature=0.2, at=T0 - self.lived - DAY
        )
        self.v2 = admin.save_version(self.prompt_id, system="Be kind.", temperature=1.0, stop_sequences=("}",))
        self.v3 = admin.save_version(self.prompt_id, system="Be very kind.", temperature=0.2)
        admin.promote(self.prompt_id, self.v1, actor_id="ana", at=T0 - self.lived)
        self.calls(
            self.v1,
            self.baseline_calls,
            self.baseline_failures,
            since=T0 - timedelta(hours=23),
            every=timedelta(hours=22) / max(1, self.baseline_calls),
            spread=True,
        )
        self.slack = SlackWorkspace(self.folder / "slack.db")
        self.enter_context(self.platform)
        self.slack_url = self.slack.start()
        self.callback(self.slack.stop)
        self.token = admin.create_token(self.scopes)
        self.restart()
        return self

    def restart(self, wrap: Callable[[object], object] | None = None) -> None:
        """A new process, as far as anything in memory goes."""
        url, app_url = self.between or self.platform.base_url, self.platform.base_url
        options = PromptHelmOptions(url=url, app_url=app_url, timeout_s=self.timeout_s, segment_by=self.segment_by)
        client = PromptHelm(options, read_token=lambda: self.token, clock=self.own_clock, uniform=lambda: 0.5)
        self.callback(client.close)
        file = self.folder / "watch.db"
        if not self.database and not file.exists():
            file.write_bytes(empty_database())
        store = self.store_of(self.database or f"sqlite:///{file}")
        self.callback(store.close)
        store.migrate()
        self.claims: Claims = Unshared()
        if store.is_shared:
            self.claims = Shared(store, name="one", lease=Lease())
        slack = SlackNotifier(
            token=lambda: "xoxb-embedded",
            channel="C0DEMO0001",
            base_url=self.slack_between or self.slack_url,
            timeout_s=self.slack_timeout_s,  # type: ignore[arg-type] - urllib takes parts of a second
        )
        self.store = store
        self.pulse = tick.Pulse()
        self.deps = self.deps_with(client, slack)
        self.claims.begin(self.deps)
        if wrap is not None:
            self.deps = wrap(self.deps)  # type: ignore[assignment]

    def deps_with(self, platform: PromptPlatform, notifier: Notifier) -> Deps:
        return Deps(
            store=self.store,
            platform=platform,
            notifier=notifier,
            clock=self.own_clock,
            standing=Standing(policy=Policy(rules=self.rules, terms=self.terms)),
            claims=self.claims,
        )

    def calls(
        self,
        version: str | None,
        n: int,
        failures: int = 0,
        *,
        since: datetime | None = None,
        every: timedelta = WINDOW,
        good: RecordedCall = GOOD,
        failed: RecordedCall = FAILED,
        spread: bool = False,
        labels: dict[str, str] | None = None,
    ) -> datetime:
        """
        n calls from `since` (default: now) on; returns when the last one began.

        Args:
            spread: the failing ones evenly among the others, as independent calls would; else they come first.
            labels: what the calls carry.
        """
        start = since or self.clock.now()
        begun = [start + i * every for i in range(n)]
        failing = {i * n // failures for i in range(failures)} if spread and failures else set(range(failures))
        self.platform.admin.import_executions(
            self.prompt_id,
            version,
            [(at, failed if i in failing else good) for i, at in enumerate(begun)],
            metadata=labels,
        )
        return begun[-1] if begun else start

    def traffic(self, version: str, n: int, failures: int = 0) -> None:
        """One call a window, the clock moving along, looked at every three windows."""
        end = self.calls(version, n, failures, since=self.clock.now() + timedelta(seconds=1))
        while self.clock.now() < end + timedelta(seconds=30):
            self.clock.move(3 * WINDOW)
            self.tick()

    def promote(self, version: str, actor: str = "ana", **given: object) -> None:
        self.platform.admin.promote(self.prompt_id, version, actor_id=actor, **given)  # type: ignore[arg-type]

    def tick(self) -> None:
        """Everything that is due, in the daemon's order."""
        detect.run(self.deps, self.own_clock.now())
        self.claims.look(self.deps)
        for name, stage in tick.STAGES:
            if name == "verify":
                self.act()
            if name not in BY_LOOKS_ONLY:
                stage(self.deps, self.own_clock.now())
        self.act()

    def look(self) -> None:
        """As the daemon does: no stage's failure comes out."""
        self.claims.look(self.deps)
        tick.run(self.deps, self.pulse)
        self.claims.look(self.deps)
        self.act()

    def act(self) -> None:
        """The actor and the sender, until there is nothing more to do now."""
        while commands.run(self.deps, self.own_clock.now()) + advance.run(self.deps, self.own_clock.now()):
            pass
        while send.run(self.deps, self.own_clock.now()):
            pass

    def watches(self) -> tuple[Watch, ...]:
        """Newest first."""
        with self.store.read() as connection:
            return watches.all_watches(connection)

    @property
    def watch(self) -> Watch:
        return self.watches()[0]

    def incidents(self) -> tuple[Incident, ...]:
        with self.store.read() as connection:
            return incidents.all_incidents(connection)

    @property
    def incident(self) -> Incident:
        found = self.incidents()
        assert len(found) == 1
        return found[0]

    def pointer(self) -> str | None:
        found = self.platform.admin.registry.prompt(self.prompt_id)["productionVersionId"]
        return None if found is None else str(found)

    def reverts(self) -> list[dict[str, object]]:
        """The platform's own record of promotions by the watchdog's token."""
        return [e for e in self.audit() if e["actorType"] == "api_token"]

    def audit(self) -> list[dict[str, object]]:
        import httpx

        answer = httpx.get(
            f"{self.platform.base_url}/api/v1/audit-logs",
            params={"action": "prompt.promote", "limit": 1000},
            headers={"authorization": f"Bearer {self.full_token()}"},
            trust_env=False,
        )
        answer.raise_for_status()
        return list(answer.json()["items"])

    def full_token(self) -> str:
        if not hasattr(self, "_full"):
            self._full = self.platform.admin.create_token(ALL_SCOPES)
        return self._full

    def roots(self) -> list[Message]:
        return self.slack.root_messages()

    def said(self) -> list[str]:
        """Every message's text, oldest first."""
        return [message.text for message in self.slack.messages()]


def act_only(action: Action) -> Terms:
    return Terms(most=action)


__all__ = ["ALL_SCOPES", "FAILED", "GOOD", "LIMIT_RULE", "ManualClock", "World", "act_only"]
