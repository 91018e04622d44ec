"""
What the daemon is to do, as frozen values. Every default of the configuration stands here and nowhere else.

`watchdog.config.load` makes them from a file. Python makes them directly, as the demo does:

    Settings(
        platform=PlatformSettings(url="http://127.0.0.1:8080", token=SecretRef.env("PROMPTHELM_TOKEN")),
        rules=load_rules(("default",)),
    )
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from enum import Enum
from fnmatch import fnmatchcase
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from watchdog.config.secret import SecretRef
from watchdog.config.urls import store_address
from watchdog.core.guards import Limits
from watchdog.core.rules import Action
from watchdog.errors import ConfigError, ConfigIssue

if TYPE_CHECKING:
    from collections.abc import Mapping

    from watchdog.core.rules import RuleSet

# The assumed calls of the platform whose paths may be overridden, each with the placeholders that its path must hold.
PLATFORM_PATHS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "prompts": frozenset(),
        "prompt": frozenset({"prompt_id"}),
        "versions": frozenset({"prompt_id"}),
        "promote": frozenset({"prompt_id", "version_id"}),
        "audit_logs": frozenset(),
        "execution_logs": frozenset(),
        "execution_log": frozenset({"call_id"}),
        "analytics": frozenset(),
        "feedback": frozenset(),
        "health": frozenset(),
    }
)
_HOSTED_URL = "https://api.prompthelm.app"
_HOSTED_APP_URL = "https://app.prompthelm.app"
COMPARE_PLACEHOLDERS = frozenset({"prompt_id", "bad", "good"})


class LogLevel(Enum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(Enum):
    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True, kw_only=True)
class PlatformSettings:
    """
    Attributes:
        url: origin of the API, without a slash at its end.
        app_url: of the pages for people, without a slash at its end.
        compare_path: template with `{prompt_id}`, `{bad}` and `{good}` (version ids), to be put behind `app_url`.
        timeout: deadline of one request as a whole, connecting and reading included.
        proxy_from_env: obey HTTPS_PROXY and its kin.
        ca_file: absolute; certificates to trust beside the usual ones; None for the usual ones alone.
        paths: overrides only, by a name from PLATFORM_PATHS; what is absent is the platform client's own default.
    """

    url: str
    token: SecretRef
    app_url: str = _HOSTED_APP_URL
    compare_path: str = "/prompts/{prompt_id}/compare?from={bad}&to={good}"
    timeout: timedelta = timedelta(seconds=10)
    proxy_from_env: bool = False
    ca_file: Path | None = None
    paths: Mapping[str, str] = field(default_factory=dict)

    @property
    def pages_url(self) -> str:
        """Where the pages for people are: a platform of one's own serves them itself, unless something else is said."""
        hosted = self.url == _HOSTED_URL or self.app_url != _HOSTED_APP_URL
        return self.app_url if hosted else self.url


@dataclass(frozen=True, kw_only=True)
class WatchSettings:
    """
    Attributes:
        prompts, exclude: globs on a prompt's slug; case matters.
        environment: whose calls are judged.
        baseline: how much of the previous version's traffic, before the promotion, is the control.
        length: how long a promotion is watched.
        min_baseline_calls: with fewer, rules that compare with the baseline say nothing.
        act: the most that the watchdog may do, whatever a rule asks for.
        countdown: so long a revert is announced before it is made, where the rule counts down.
        tick: seconds between two looks, as a duration; the first minutes of a watch are looked at more often.
        segment_by: label of a call (a task, a route, a tenant) whose values are compared each with its own baseline;
            empty for none.
    """

    prompts: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()
    environment: str = "production"
    baseline: timedelta = timedelta(hours=24)
    length: timedelta = timedelta(hours=24)
    min_baseline_calls: int = 50
    act: Action = Action.REVERT
    countdown: timedelta = timedelta(minutes=5)
    tick: timedelta = timedelta(seconds=30)
    segment_by: str = ""


@dataclass(frozen=True, kw_only=True)
class GuardSettings:
    """
    Attributes:
        per_hour, per_day: automatic reverts of all prompts together, at most.
        cooldown: after an automatic revert of a prompt, until its next one; doubles with each.
        oldest_target: a version that left production longer ago is only suggested.
        hold_file: absolute; nothing is written while it is there. None: `hold` beside a SQLite database.
    """

    per_hour: int = Limits.per_hour
    per_day: int = Limits.per_day
    cooldown: timedelta = Limits.cooldown
    oldest_target: timedelta = Limits.oldest_target
    hold_file: Path | None = None


@dataclass(frozen=True, kw_only=True)
class RecoverySettings:
    """
    Attributes:
        deadline: how long after a revert calls are waited for until the last word is said about the recovery.
    """

    deadline: timedelta = timedelta(minutes=30)


@dataclass(frozen=True, kw_only=True)
class StatusSettings:
    """
    Attributes:
        pages: by provider, as calls carry it but for its case: address of its status page, without a slash at its end.
            No other provider is ever asked how it is.
    """

    pages: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class EvidenceSettings:
    """
    Attributes:
        payloads: whether bodies of failing calls are looked at.
        calls: of one incident at most so many.
        slack: whether redacted examples go out with the notice.
        redact: regular expressions; what they match is not kept.
    """

    payloads: bool = False
    calls: int = 20
    slack: bool = False
    redact: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SlackSettings:
    """
    Either token and channel, or webhook; the others are None.

    Attributes:
        channel: the channel's ID, not its name.
        api_url: base address of Slack's Web API, with a slash at its end.
    """

    token: SecretRef | None = None
    channel: str | None = None
    webhook: SecretRef | None = None
    api_url: str = "https://slack.com/api/"


@dataclass(frozen=True, kw_only=True)
class StoreSettings:
    """
    Attributes:
        url: of the database; or where to read it, when it holds a password.
        folder: what a relative SQLite path is relative to.
    """

    url: str | SecretRef = "sqlite:///promptwatch.db"
    folder: Path = field(default_factory=Path)

    def read_url(self, env: Mapping[str, str]) -> str:
        """
        The address for SQLAlchemy, a SQLite path in it made absolute. May hold a password: do not print it.

        Raises: ConfigError: a reference that does not resolve, or an address of no known kind.
        """
        address = self.url.read(env) if isinstance(self.url, SecretRef) else self.url
        try:
            return store_address(address, self.folder.absolute())
        except ValueError as exc:
            issue = ConfigIssue(file="[store] url", line=0, column=0, key="store.url", message=str(exc))
            raise ConfigError((issue,)) from None


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """
    Attributes:
        listen: IP address and port of the pages about the watchdog itself; empty for none.
        remote: `listen` may be an address that other machines reach.
    """

    listen: str = "127.0.0.1:9464"
    remote: bool = False


@dataclass(frozen=True, kw_only=True)
class HeartbeatSettings:
    """
    Attributes:
        url: where the address is that is fetched while ticks complete; None for none.
    """

    url: SecretRef | None = None


@dataclass(frozen=True, kw_only=True)
class LogSettings:
    level: LogLevel = LogLevel.INFO
    format: LogFormat = LogFormat.TEXT


@dataclass(frozen=True, kw_only=True)
class PackUsed:
    """
    One rule pack that is in force.

    Attributes:
        name: as the configuration names it.
        file: where it was read from, for messages.
    """

    name: str
    file: str
    description: str


@dataclass(frozen=True, kw_only=True)
class PromptRules:
    """
    Rules for some prompts only.

    Attributes:
        glob: on the prompt's slug.
        rules: complete: the common rules with this override's changes.
        act: the most that may be done about these prompts; None for what holds for all.
    """

    glob: str
    rules: RuleSet
    act: Action | None = None


@dataclass(frozen=True, kw_only=True)
class Settings:
    """
    Everything that a configuration says.

    Attributes:
        rules: the packs' rules with the configuration's changes, for every prompt.
        slack: None: notices go to the terminal.
        file: the configuration file as the user gave it; None when made in Python.
        packs: what `rules` was made of, for `check`.
        overrides: rules for some prompts only, in the order of the file; the first glob that matches counts.
    """

    platform: PlatformSettings
    rules: RuleSet
    watch: WatchSettings = WatchSettings()
    guards: GuardSettings = GuardSettings()
    recovery: RecoverySettings = RecoverySettings()
    status: StatusSettings = field(default_factory=StatusSettings)
    evidence: EvidenceSettings = EvidenceSettings()
    slack: SlackSettings | None = None
    store: StoreSettings = field(default_factory=StoreSettings)
    server: ServerSettings = ServerSettings()
    heartbeat: HeartbeatSettings = HeartbeatSettings()
    log: LogSettings = LogSettings()
    file: Path | None = None
    packs: tuple[PackUsed, ...] = ()
    overrides: tuple[PromptRules, ...] = ()

    def rules_for(self, slug: str) -> RuleSet:
        """The rules that judge promotions of this prompt: of the first override whose glob matches, else `rules`."""
        return next((o.rules for o in self.overrides if fnmatchcase(slug, o.glob)), self.rules)

    def act_for(self, override: PromptRules | None) -> Action:
        """The most that may be done about the prompts of this override; of all others where it is None."""
        return self.watch.act if override is None or override.act is None else override.act

    @property
    def most_of_all(self) -> Action:
        """The most that may be done about any prompt."""
        acts = (self.act_for(override) for override in (None, *self.overrides))
        return max(acts, key=tuple(Action).index)

    @property
    def digest(self) -> str:
        """SHA-256, in hex, over all that decides what the daemon does; where the file lies is not part of it."""
        overrides = [(o.glob, o.rules.digest, o.act) for o in self.overrides]
        content = {**asdict(self), "rules": self.rules.digest, "overrides": overrides}
        for name in ("file", "packs"):
            del content[name]
        return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode("ascii")).hexdigest()
