"""From a configuration file to settings, or to every issue in it at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchdog.config.document import in_order, read_document
from watchdog.config.kinds import Surroundings
from watchdog.config.ruling import Ruling, rule_on
from watchdog.config.schema import ConfigTable, SlackTable
from watchdog.config.settings import (
    EvidenceSettings,
    GuardSettings,
    HeartbeatSettings,
    LogSettings,
    PlatformSettings,
    RecoverySettings,
    ServerSettings,
    Settings,
    SlackSettings,
    StatusSettings,
    StoreSettings,
    WatchSettings,
)
from watchdog.config.table import read_table
from watchdog.config.urls import store_address
from watchdog.errors import ConfigError, ConfigIssue

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from watchdog.config.document import Document


def load_settings(path: Path, env: Mapping[str, str]) -> Settings:
    """
    Read a configuration file, the rule packs that it names, and check that its secrets can be read.

    Args:
        env: the environment variables. Secrets are checked now and read again when they are used.

    Raises: ConfigError: every issue in the file and its packs, in the order of the lines; a file that cannot be read,
        or is not TOML, is the only issue then.
    """
    document = read_document(
        path, file=str(path), hint="copy config.example.toml to it, and fill in the address and the token"
    )
    surroundings = Surroundings(folder=path.absolute().parent, env=env)
    table, issues = read_table(ConfigTable, document, surroundings)
    ruling = rule_on(document, surroundings, table)
    issues += ruling.issues
    if table is not None and table.store.url is None:
        issues += _default_store_issues(document, surroundings)
    if issues or table is None:
        raise ConfigError(in_order(issues, first=str(path)))
    return _settings(table, ruling, path, surroundings.folder)


def _default_store_issues(document: Document, surroundings: Surroundings) -> tuple[ConfigIssue, ...]:
    try:
        store_address(str(StoreSettings.url), surroundings.folder)
    except ValueError as exc:
        return (document.issue(("store", "url"), str(exc)),)
    return ()


def _settings(table: ConfigTable, ruling: Ruling, path: Path, folder: Path) -> Settings:
    platform, watch, evidence = table.platform, table.watch, table.evidence
    return Settings(
        platform=PlatformSettings(
            url=platform.url,
            token=platform.token,
            app_url=platform.app_url,
            compare_path=platform.compare_path,
            timeout=platform.timeout,
            proxy_from_env=platform.proxy_from_env,
            ca_file=platform.ca_file,
            paths={name: template for name, template in platform.paths if template is not None},
        ),
        rules=ruling.rules,
        watch=WatchSettings(
            prompts=tuple(watch.prompts),
            exclude=tuple(watch.exclude),
            environment=watch.environment,
            baseline=watch.baseline,
            length=watch.length,
            min_baseline_calls=watch.min_baseline_calls,
            act=watch.act,
            countdown=watch.countdown,
            tick=watch.tick,
            segment_by=watch.segment_by,
        ),
        guards=GuardSettings(
            per_hour=table.guards.per_hour,
            per_day=table.guards.per_day,
            cooldown=table.guards.cooldown,
            oldest_target=table.guards.oldest_target,
            hold_file=table.guards.hold_file,
        ),
        recovery=RecoverySettings(deadline=table.recovery.deadline),
        status=StatusSettings(pages=dict(table.status)),
        evidence=EvidenceSettings(
            payloads=evidence.payloads,
            calls=evidence.calls,
            slack=evidence.slack,
            redact=tuple(evidence.redact),
        ),
        slack=None if table.slack is None else _slack(table.slack),
        store=StoreSettings(url=table.store.url or StoreSettings.url, folder=folder),
        server=ServerSettings(listen=table.server.listen, remote=table.server.remote),
        heartbeat=HeartbeatSettings(url=table.heartbeat.url),
        log=LogSettings(level=table.log.level, format=table.log.format),
        file=path,
        packs=tuple(pack.used for pack in ruling.packs),
        overrides=ruling.overrides,
    )


def _slack(table: SlackTable) -> SlackSettings:
    # slack-sdk puts the method's name right behind the address.
    return SlackSettings(
        token=table.token, channel=table.channel, webhook=table.webhook, api_url=f"{table.api_url.rstrip('/')}/"
    )
