"""
The configuration file as pydantic models: which keys there are, and what each may hold.

The models are read by `watchdog.config.load` and, key by key, by the test that keeps docs/configuration.md complete.
"""

from __future__ import annotations

from datetime import timedelta  # noqa: TC003 - pydantic reads the annotations at run time
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from watchdog.config.disclosure import quoted
from watchdog.config.kinds import (
    Kind,
    Surroundings,
    choice,
    count,
    duration,
    flag,
    matching,
    mode_of,
    regex,
    template,
    text,
    text_of,
)
from watchdog.config.rule_schema import (
    ALPHA,
    ALPHA_MEANS,
    PACK_NAME,
    RULE_NAME,
    THRESHOLD,
    THRESHOLD_MEANS,
    ChangeTable,
)
from watchdog.config.secret import SecretRef  # noqa: TC001
from watchdog.config.settings import (
    COMPARE_PLACEHOLDERS,
    PLATFORM_PATHS,
    EvidenceSettings,
    GuardSettings,
    HeartbeatSettings,
    LogFormat,
    LogLevel,
    LogSettings,
    PlatformSettings,
    RecoverySettings,
    ServerSettings,
    SlackSettings,
    WatchSettings,
)
from watchdog.config.table import KeyedBy, Table, at_key, means
from watchdog.config.urls import (
    base_address,
    is_loopback,
    listen_address,
    listening,
    origin,
    secret,
    status_page,
    store,
)
from watchdog.core.patterns import MOST_PATTERNS
from watchdog.core.rules import Action
from watchdog.stats.eprocess import ThresholdMode  # noqa: TC001

_CHANNEL = (
    'a channel ID such as "C0123456789", not a name: in Slack open the channel, click its name, and copy the ID at '
    "the end of the tab About"
)


def _existing_file() -> Kind:
    allowed = "the path of a file with certificates (PEM), relative to the folder of this file"

    def parse(value: object, surroundings: Surroundings) -> Path:
        path = surroundings.folder / text_of(value)
        if not S_ISREG(mode_of(path)):
            raise ValueError(f"there is no file {quoted(str(path))}")
        return path

    return Kind(allowed=allowed, parse=parse, schema=matching(".+"))


def _some_file() -> Kind:
    allowed = "the path of a file, which need not be there, relative to the folder of this file"

    def parse(value: object, surroundings: Surroundings) -> Path:
        path = surroundings.folder / text_of(value)
        if S_ISDIR(mode_of(path)):
            raise ValueError(f"{quoted(str(path))} is a folder")
        return path

    return Kind(allowed=allowed, parse=parse, schema=matching(".+"))


def _path(name: str) -> Kind:
    placeholders = PLATFORM_PATHS[name]
    holding = " and ".join(f"{{{placeholder}}}" for placeholder in sorted(placeholders)) or "no placeholder"
    return template(placeholders, f"a path that starts with / and holds {holding}", query=False)


class PlatformPathsTable(Table):
    prompts: Annotated[str | None, _path("prompts")] = None
    prompt: Annotated[str | None, _path("prompt")] = None
    versions: Annotated[str | None, _path("versions")] = None
    promote: Annotated[str | None, _path("promote")] = None
    audit_logs: Annotated[str | None, _path("audit_logs")] = None
    execution_logs: Annotated[str | None, _path("execution_logs")] = None
    execution_log: Annotated[str | None, _path("execution_log")] = None
    analytics: Annotated[str | None, _path("analytics")] = None
    feedback: Annotated[str | None, _path("feedback")] = None
    health: Annotated[str | None, _path("health")] = None


class PlatformTable(Table):
    url: Annotated[
        str,
        origin("https://api.prompthelm.app"),
        means('Where the API is, such as `"https://api.prompthelm.app"`.'),
    ]
    token: Annotated[
        SecretRef, secret(), means("Sent as `Authorization: Bearer`. A PromptHelm API token or a dashboard JWT.")
    ]
    app_url: Annotated[
        str,
        base_address("https://app.prompthelm.app"),
        means("The pages for people; only used for links. With a `platform.url` of your own, that address."),
    ] = PlatformSettings.app_url
    compare_path: Annotated[
        str,
        template(COMPARE_PLACEHOLDERS, "a path that starts with / and holds {prompt_id}, {bad} and {good}", query=True),
        means("The page that shows what two versions differ in, behind `app_url`."),
    ] = PlatformSettings.compare_path
    timeout: Annotated[
        timedelta,
        duration("1s", "2m"),
        means("Deadline of one request as a whole, connecting and reading included."),
    ] = PlatformSettings.timeout
    proxy_from_env: Annotated[bool, flag(), means("Whether `HTTPS_PROXY` and its kin are obeyed.")] = (
        PlatformSettings.proxy_from_env
    )
    ca_file: Annotated[
        Path | None,
        _existing_file(),
        means(
            "Certificates to trust, where a company proxy signs with its own. There is no switch that turns "
            "verification off."
        ),
    ] = PlatformSettings.ca_file
    paths: Annotated[
        PlatformPathsTable, means("Paths of the platform's API, where they are not what this program assumes.")
    ] = PlatformPathsTable()


_GLOB = text('a glob on the slug of a prompt, such as "*" or "support-*"', r"\S+")


class WatchTable(Table):
    prompts: Annotated[
        list[Annotated[str, _GLOB]],
        means("Slugs of the prompts to watch. `*` any characters, `?` one, `[ab]` one of these; case matters."),
    ] = Field(default_factory=lambda: list(WatchSettings.prompts), min_length=1)
    exclude: Annotated[list[Annotated[str, _GLOB]], means("Slugs to leave alone, even where `prompts` names them.")] = (
        Field(default_factory=lambda: list(WatchSettings.exclude))
    )
    environment: Annotated[
        str, text('the name of an environment, such as "production"', r"\S+"), means("Whose calls are judged.")
    ] = WatchSettings.environment
    baseline: Annotated[
        timedelta,
        duration("1m", "90d"),
        means(
            "How much of the previous version's traffic, right before the promotion, is the baseline. More of it "
            "finds smaller changes sooner; a day covers the daily rhythm."
        ),
    ] = WatchSettings.baseline
    length: Annotated[
        timedelta,
        duration("1m", "7d"),
        means("How long a promotion is watched, from the first call that carries it."),
    ] = WatchSettings.length
    min_baseline_calls: Annotated[
        int,
        count(1, 1_000_000),
        means(
            "With fewer, rules that compare with the baseline are silent, and only those with "
            '`statistic = "limit"` judge.'
        ),
    ] = WatchSettings.min_baseline_calls
    act: Annotated[
        Action,
        choice(Action),
        means(
            'The most that the watchdog may do, whatever a rule asks for. Start with `"alert"` if you want to see it '
            "work first."
        ),
    ] = WatchSettings.act
    countdown: Annotated[
        timedelta,
        duration("1m", "24h"),
        means(
            'How long a revert by a rule with `action = "countdown"` is announced before it is made. A person can '
            "cancel it meanwhile; so do numbers that come back."
        ),
    ] = WatchSettings.countdown
    tick: Annotated[
        timedelta,
        duration("1s", "10m"),
        means("Time between two looks. In the first five minutes of a watch it looks every 5 seconds."),
    ] = WatchSettings.tick
    segment_by: Annotated[
        str,
        text('a label that the calls carry, such as "task"', r"(\S(.*\S)?)?"),
        means(
            "Label of a call whose values are compared each with its own baseline: a task, a route, a tenant, a "
            "language. Empty: all calls together."
        ),
    ] = WatchSettings.segment_by

    @model_validator(mode="after")
    def _looks_more_than_once(self) -> Self:
        if self.tick > self.length:
            raise at_key("tick", "is longer than the whole watch; must be at most `length`")
        return self


class RulesTable(Table):
    packs: Annotated[
        list[Annotated[str, PACK_NAME]],
        means("Built-in packs by name, and files of your own by path (they end in `.toml`)."),
    ] = Field(default_factory=lambda: ["default"], min_length=1)
    alpha: Annotated[float | None, ALPHA, means(ALPHA_MEANS)] = None
    threshold: Annotated[ThresholdMode | None, THRESHOLD, means(THRESHOLD_MEANS)] = None
    change: Annotated[
        dict[str, ChangeTable], KeyedBy(RULE_NAME), means("Changes of single keys of the packs' rules, by their names.")
    ] = Field(default_factory=dict)


class PromptsTable(Table):
    """Rules for some prompts only."""

    match: Annotated[str, _GLOB, means("Slugs of the prompts that this table is for, as in `watch.prompts`.")]
    act: Annotated[
        Action | None,
        choice(Action),
        means("The most that may be done about these prompts, more or less, instead of `watch.act`."),
    ] = None
    packs: Annotated[
        list[Annotated[str, PACK_NAME]] | None,
        means("Packs for these prompts, instead of those in `rules.packs`."),
    ] = Field(default=None, min_length=1)
    alpha: Annotated[float | None, ALPHA, means(ALPHA_MEANS)] = None
    threshold: Annotated[ThresholdMode | None, THRESHOLD, means(THRESHOLD_MEANS)] = None
    change: Annotated[
        dict[str, ChangeTable], KeyedBy(RULE_NAME), means("Changes of single keys of these rules, by their names.")
    ] = Field(default_factory=dict)


class GuardsTable(Table):
    per_hour: Annotated[
        int,
        count(0, 1000),
        means("Automatic reverts of all prompts together within an hour, at most; what is more is held for a person."),
    ] = GuardSettings.per_hour
    per_day: Annotated[int, count(0, 10_000), means("The same within 24 hours.")] = GuardSettings.per_day
    cooldown: Annotated[
        timedelta,
        duration("1m", "7d"),
        means(
            "After an automatic revert of a prompt its next one has to wait so long; twice as long after the second, "
            "and so on, at most 7 days. After 30 days without one it begins anew."
        ),
    ] = GuardSettings.cooldown
    oldest_target: Annotated[
        timedelta,
        duration("1h", "3650d"),
        means("A version that left production longer ago than this is suggested, and not put back unasked."),
    ] = GuardSettings.oldest_target
    hold_file: Annotated[
        Path | None,
        _some_file(),
        means(
            "While this file is there nothing is written to the platform; its first line is the reason. Not set: "
            "`hold` in the folder of the SQLite database; with PostgreSQL none."
        ),
    ] = GuardSettings.hold_file


class RecoveryTable(Table):
    deadline: Annotated[
        timedelta,
        duration("1m", "24h"),
        means(
            "How long after a revert calls are waited for until the last word is said: recovered, still bad (then "
            "look upstream of the prompt), or too few calls to tell."
        ),
    ] = RecoverySettings.deadline


_PROVIDER = text(
    'the name of a provider as calls carry it, such as "openai", of at most 60 characters', r"\S(.{0,58}\S)?"
)


class EvidenceTable(Table):
    payloads: Annotated[
        bool,
        flag(),
        means(
            "Look at failing calls of a version that made production worse: what shape their output has, kept with the "
            "incident, redacted and cut. Off: no body is ever asked for."
        ),
    ] = EvidenceSettings.payloads
    calls: Annotated[
        int, count(1, 200), means("Of one incident at most so many calls, the newest (or slowest, or dearest) ones.")
    ] = EvidenceSettings.calls
    slack: Annotated[
        bool,
        flag(),
        means("Let up to two redacted examples go out with the notice; else it holds counts and shapes only."),
    ] = EvidenceSettings.slack
    redact: Annotated[
        list[Annotated[str, regex()]],
        means(
            "Regular expressions of your own, for what must not be kept beside the usual secrets, mail addresses, "
            "phone, card and account numbers."
        ),
    ] = Field(default_factory=lambda: list(EvidenceSettings.redact))

    @model_validator(mode="after")
    def _few_enough(self) -> Self:
        if len(self.redact) > MOST_PATTERNS:
            raise at_key("redact", f"holds {len(self.redact)} patterns; at most {MOST_PATTERNS}: join some with `|`")
        return self


class SlackTable(Table):
    token: Annotated[SecretRef | None, secret(), means("A bot token (`xoxb-...`) with the scope `chat:write`.")] = (
        SlackSettings.token
    )
    channel: Annotated[
        str | None,
        text(_CHANNEL, "[CG][A-Z0-9]{8,20}"),
        means(
            'Such as `"C0123456789"`, not `"#alerts"`: names change, and Slack takes IDs only for some calls. Open '
            "the channel, click its name, and copy the ID at the end of the tab *About*. Invite the bot into it."
        ),
    ] = SlackSettings.channel
    webhook: Annotated[
        SecretRef | None,
        secret(web_address=True),
        means("An incoming webhook. The lesser mode: it can neither update a message nor open a thread."),
    ] = SlackSettings.webhook
    api_url: Annotated[str, base_address(SlackSettings.api_url), means("Slack's Web API.")] = SlackSettings.api_url

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if self.webhook is not None:
            if self.token is not None or self.channel is not None:
                raise at_key(
                    "webhook", "stands beside `token` or `channel`; keep `token` and `channel`, or `webhook` alone"
                )
        elif self.token is None and self.channel is None:
            raise at_key("token", "is missing; Slack needs `token` and `channel`, or `webhook` alone")
        elif self.token is None:
            raise at_key("token", "is missing; `channel` needs it")
        elif self.channel is None:
            raise at_key("channel", f"is missing; `token` needs it; must be {_CHANNEL}")
        return self


class StoreTable(Table):
    url: Annotated[
        str | SecretRef | None,
        store(),
        means(
            "Where incidents, watches and windows are kept. `sqlite:///` and a path is relative to the folder of the "
            "configuration file, `sqlite:////` and a path is absolute. An address with a password must come from "
            "`env:` or `file:`. PostgreSQL needs the extra `prompt-watchdog[postgres]`."
        ),
    ] = None


class ServerTable(Table):
    listen: Annotated[
        str,
        listening(),
        means(
            "IP address and port of `/healthz`, `/readyz` and `/metrics`; empty for none. A port that is taken stops "
            "nothing: it is logged and tried again."
        ),
    ] = ServerSettings.listen
    remote: Annotated[
        bool,
        flag(),
        means(
            "Let `listen` be an address that other machines reach. Nobody who asks is asked who they are: bind to a "
            "network that only your monitoring is in."
        ),
    ] = ServerSettings.remote

    @model_validator(mode="after")
    def _others_only_on_purpose(self) -> Self:
        if self.listen and not self.remote and not is_loopback(listen_address(self.listen)[0]):
            raise at_key(
                "listen",
                f"{quoted(self.listen)} can be reached by other machines; put `remote = true` beside it if they "
                "may, or listen on 127.0.0.1",
            )
        return self


class HeartbeatTable(Table):
    url: Annotated[
        SecretRef | None,
        secret(web_address=True),
        means(
            "An address that is fetched (GET) once a minute while looks complete: a dead man's switch such as a check "
            "of healthchecks.io, which tells you when the watchdog itself has died."
        ),
    ] = HeartbeatSettings.url


class LogTable(Table):
    level: Annotated[LogLevel, choice(LogLevel), means("What is logged.")] = LogSettings.level
    format: Annotated[LogFormat, choice(LogFormat), means("`json`: one object a line.")] = LogSettings.format


class ConfigTable(Table):
    """The whole file."""

    platform: Annotated[PlatformTable, means("The prompt platform: PromptHelm. This table must be there.")]
    watch: Annotated[WatchTable, means("Which promotions are watched, and what may be done about a bad one.")] = (
        WatchTable()
    )
    rules: Annotated[RulesTable, means("When a version is worse.")] = RulesTable()
    prompts: Annotated[
        list[PromptsTable], means("Rules for some prompts only. The first table whose `match` fits counts.")
    ] = Field(default_factory=list)
    guards: Annotated[GuardsTable, means("How much may be done without a person, and the kill switch.")] = GuardsTable()
    recovery: Annotated[RecoveryTable, means("After a revert.")] = RecoveryTable()
    status: Annotated[
        dict[str, Annotated[str, status_page("https://status.openai.com")]],
        KeyedBy(_PROVIDER),
        means(
            "Status page of the provider that calls name so, whatever the case. Asked once after an incident, and once "
            "more when a revert did not help; what it says goes into the message and decides nothing."
        ),
    ] = Field(default_factory=dict)
    evidence: Annotated[EvidenceTable, means("What the failing calls looked like.")] = EvidenceTable()
    slack: Annotated[
        SlackTable | None,
        means("Optional; without it notices go to the terminal. Either `token` and `channel`, or `webhook` alone."),
    ] = None
    store: Annotated[StoreTable, means("What the watchdog remembers.")] = StoreTable()
    server: Annotated[ServerTable, means("What can be asked of the watchdog itself.")] = ServerTable()
    heartbeat: Annotated[HeartbeatTable, means("Who is told that the watchdog lives.")] = HeartbeatTable()
    log: Annotated[LogTable, means("What the watchdog writes to standard error.")] = LogTable()

    @field_validator("status", mode="after")
    @classmethod
    def _one_page_a_provider(cls, pages: dict[str, str]) -> dict[str, str]:
        known: dict[str, str] = {}
        for provider in pages:
            try:
                _PROVIDER.parse(provider, Surroundings(folder=Path(), env={}))
            except ValueError:
                raise at_key(provider, f"must be {_PROVIDER.allowed}") from None
            if (other := known.setdefault(provider.casefold(), provider)) != provider:
                raise at_key(
                    provider, f"is the same provider as {quoted(other)}; case does not matter, keep one of them"
                )
        return pages
