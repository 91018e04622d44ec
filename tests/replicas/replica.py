"""`python -m tests.replicas.replica '{...}'`: one real daemon of several, in a process of its own, until SIGTERM."""

from __future__ import annotations

import json
import logging
import sys
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from tests.builders import rule_set, success_rule
from tests.world import LIMIT_RULE
from watchdog.clock import ScaledClock
from watchdog.core.guards import Limits
from watchdog.core.rules import Action, RuleSet
from watchdog.core.terms import Terms
from watchdog.daemon import run_until_signal
from watchdog.jobs.claims import Lease, Shared
from watchdog.jobs.deps import Deps, Policy, Standing
from watchdog.notify.slack import SlackNotifier
from watchdog.platforms.prompthelm import PromptHelm, PromptHelmOptions
from watchdog.store.database import Store

# Times of the clock of all of them, which is faster than the wall.
SPEED = 4.0
# Of the wall: short, so that much is taken over; the settle is longer than any request, and so is the lease.
REQUEST_S = 4.0
LEASE = Lease(length_s=9.0, renew_s=2.0, look_s=0.5, request_s=REQUEST_S, margin_s=1.0)
RULES: RuleSet = rule_set(success_rule(weight=0.8, late_onset=Action.REVERT), LIMIT_RULE)
TERMS = Terms(
    baseline=timedelta(hours=2),
    tick=timedelta(seconds=12),
    fast_tick=timedelta(seconds=6),
    settle=timedelta(seconds=3 * REQUEST_S * SPEED),
    recovery_deadline=timedelta(seconds=20),
    limits=Limits(per_hour=1_000_000, per_day=1_000_000),
)


@dataclass(frozen=True)
class WrongClock(ScaledClock):
    """One that was set wrong, and runs as fast as the others."""

    ahead: timedelta

    def now(self) -> datetime:
        return super().now() + self.ahead


@dataclass(frozen=True, kw_only=True)
class Where:
    """
    Everything that the parts of one run share.

    Attributes:
        origin: of the clock, in ISO 8601.
        name: of the replica; empty for the run itself, which is none.
        ahead_s: of the true time, its clock; < 0 is behind.
    """

    database: str
    platform: str
    token: str
    slack: str
    origin: str
    name: str = ""
    ahead_s: float = 0.0

    def clock(self) -> ScaledClock:
        return WrongClock(datetime.fromisoformat(self.origin), SPEED, timedelta(seconds=self.ahead_s))

    def client(self) -> PromptHelm:
        options = PromptHelmOptions(url=self.platform, app_url=self.platform, timeout_s=REQUEST_S)
        return PromptHelm(options, read_token=lambda: self.token, clock=self.clock(), uniform=lambda: 0.5)

    def store(self) -> Store:
        """With the replica's name on its connections, so that they can be cut."""
        between = "&" if "?" in self.database else "?"
        return Store(f"{self.database}{between}application_name={self.name or 'battery'}")

    def deps(self) -> Deps:
        store = self.store()
        slack = SlackNotifier(token=lambda: "xoxb-embedded", channel="C0DEMO0001", base_url=self.slack, timeout_s=3)
        deps = Deps(
            store=store,
            platform=self.client(),
            notifier=slack,
            clock=self.clock(),
            standing=Standing(policy=Policy(rules=RULES, terms=TERMS)),
        )
        if not self.name:
            return deps
        return Deps(**{**vars(deps), "claims": Shared(store, name=self.name, lease=LEASE)})

    def to_json(self, name: str, ahead_s: float) -> str:
        return json.dumps({**asdict(self), "name": name, "ahead_s": ahead_s})


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s %(action)s %(why)s %(item)s")
    for handler in logging.getLogger().handlers:
        handler.addFilter(_complete)
    for noisy in ("httpx", "httpcore", "apscheduler", "slack_sdk", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    run_until_signal(Where(**json.loads(sys.argv[1])).deps())


def _complete(record: logging.LogRecord) -> bool:
    """A line of the log that does not say what it is about says so."""
    for name in ("action", "why", "item"):
        if not hasattr(record, name):
            setattr(record, name, "")
    return True


if __name__ == "__main__":
    main()
