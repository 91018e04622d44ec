"""
The configuration file as pydantic models: which keys there are, and what each may hold.

The models are read by `watchdog.config.load` and, key by key, by the test that keeps docs/configuration.md complete.
"""

from __future__ import annotations

from datetime import timedelta  # noqa: TC003 - pydantic reads the annotations at run time
from pathlib import Path  # noqa: TC003
from typing import Annotated, Self

from pydantic import Field, model_validator

from watchdog.config.disclosure import quoted
from watchdog.config.kinds import Kind, Surroundings, choice, count, duration, flag, template, text, text_of
from watchdog.config.rule_schema import ALPHA, PACK_NAME, ChangeTable
from watchdog.config.secret import SecretRef  # noqa: TC001
from watchdog.config.settings import (
    COMPARE_PLACEHOLDERS,
    PLATFORM_PATHS,
    LogFormat,
    LogLevel,
    LogSettings,
    PlatformSettings,
    RecoverySettings,
    SlackSettings,
    WatchSettings,
)
from watchdog.config.table import Table, at_key
from watchdog.config.urls import base_address, origin, secret, store
from watchdog.core.rules import Action

_CHANNEL = (
    'a channel ID such as "C0123456789", not a name: in Slack open the channel, click its name, and copy the ID at '
    "the end of the tab About"
)


def _existing_file() -> Kind:
    allowed = "the path of a file with certificates (PEM), relative to the folder of this file"

    def parse(value: object, surroundings: Surroundings) -> Path:
        path = surroundings.folder / text_of(value)
        if not path.is_file():
            raise ValueError(f"there is no file {quoted(str(path))}")
        return path

    return Kind(allowed=allowed, parse=parse)


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
    url: Annotated[str, origin("https://api.prompthelm.app")]
    token: Annotated[SecretRef, secret()]
    app_url: Annotated[str, base_address("https://app.prompthelm.app")] = PlatformSettings.app_url
    compare_path: Annotated[
        str,
        template(COMPARE_PLACEHOLDERS, "a path that starts with / and holds {prompt_id}, {bad} and {good}", query=True),
    ] = PlatformSettings.compare_path
    timeout: Annotated[timedelta, duration("1s", "2m")] = PlatformSettings.timeout
    proxy_from_env: Annotated[bool, flag()] = PlatformSettings.proxy_from_env
    ca_file: Annotated[Path | None, _existing_file()] = PlatformSettings.ca_file
    paths: PlatformPathsTable = PlatformPathsTable()


_GLOB = text('a glob on the slug of a prompt, such as "*" or "support-*"', r"\S+")


class WatchTable(Table):
    prompts: list[Annotated[str, _GLOB]] = Field(default_factory=lambda: list(WatchSettings.prompts), min_length=1)
    exclude: list[Annotated[str, _GLOB]] = Field(default_factory=lambda: list(WatchSettings.exclude))
    environment: Annotated[str, text('the name of an environment, such as "production"', r"\S+")] = (
        WatchSettings.environment
    )
    baseline: Annotated[timedelta, duration("1m", "90d")] = WatchSettings.baseline
    length: Annotated[timedelta, duration("1m", "7d")] = WatchSettings.length
    min_baseline_calls: Annotated[int, count(1, 1_000_000)] = WatchSettings.min_baseline_calls
    act: Annotated[Action, choice(Action)] = WatchSettings.act
    tick: Annotated[timedelta, duration("1s", "10m")] = WatchSettings.tick

    @model_validator(mode="after")
    def _looks_more_than_once(self) -> Self:
        if self.tick > self.length:
            raise at_key("tick", "is longer than the whole watch; must be at most `length`")
        return self


class RulesTable(Table):
    packs: list[Annotated[str, PACK_NAME]] = Field(default_factory=lambda: ["default"], min_length=1)
    alpha: Annotated[float | None, ALPHA] = None
    change: dict[str, ChangeTable] = Field(default_factory=dict)


class RecoveryTable(Table):
    deadline: Annotated[timedelta, duration("1m", "24h")] = RecoverySettings.deadline


class SlackTable(Table):
    token: Annotated[SecretRef | None, secret()] = SlackSettings.token
    channel: Annotated[str | None, text(_CHANNEL, "[CG][A-Z0-9]{8,20}")] = SlackSettings.channel
    webhook: Annotated[SecretRef | None, secret(web_address=True)] = SlackSettings.webhook
    api_url: Annotated[str, base_address(SlackSettings.api_url)] = SlackSettings.api_url

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
    url: Annotated[str | SecretRef | None, store()] = None


class LogTable(Table):
    level: Annotated[LogLevel, choice(LogLevel)] = LogSettings.level
    format: Annotated[LogFormat, choice(LogFormat)] = LogSettings.format


class ConfigTable(Table):
    """The whole file."""

    platform: PlatformTable
    watch: WatchTable = WatchTable()
    rules: RulesTable = RulesTable()
    recovery: RecoveryTable = RecoveryTable()
    slack: SlackTable | None = None
    store: StoreTable = StoreTable()
    log: LogTable = LogTable()
