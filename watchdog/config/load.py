"""From a configuration file to settings, or to every issue in it at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchdog.config.document import Document, read_document
from watchdog.config.kinds import Surroundings
from watchdog.config.packs import combine, read_packs
from watchdog.config.rule_schema import ChangeTable
from watchdog.config.schema import ConfigTable, RulesTable, SlackTable
from watchdog.config.settings import (
    LogSettings,
    PlatformSettings,
    RecoverySettings,
    Settings,
    SlackSettings,
    StoreSettings,
    WatchSettings,
)
from watchdog.config.table import read_table
from watchdog.config.urls import store_address
from watchdog.errors import ConfigError, ConfigIssue

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from watchdog.config.packs import Pack
    from watchdog.core.rules import RuleSet


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
    packs, rules, more = _rules(document, surroundings, table)
    issues += more
    if table is not None and table.store.url is None:
        issues += _default_store_issues(document, surroundings)
    if issues or table is None:
        raise ConfigError(
            tuple(sorted(issues, key=lambda issue: (issue.file != str(path), issue.file, issue.line, issue.column)))
        )
    return _settings(table, rules, packs, path, surroundings.folder)


def _rules(
    document: Document, surroundings: Surroundings, table: ConfigTable | None
) -> tuple[tuple[Pack, ...], RuleSet, tuple[ConfigIssue, ...]]:
    """The rules even where the rest of the file has issues, so that those of the packs are reported with them."""
    asked = table.rules if table is not None else _readable_rules(document, surroundings)
    packs, issues = read_packs(asked.packs, document, surroundings)
    # A pack that could not be read would make every change of its rules look like a mistake.
    complete = len(packs) == len(asked.packs)
    rules, more = combine(packs, document, alpha=asked.alpha, changes=asked.change if complete else {})
    return packs, rules, issues + more


def _readable_rules(document: Document, surroundings: Surroundings) -> RulesTable:
    """What can be told of [rules] in a file with issues: the names of the packs, and each change that has none."""
    names = document.value(("rules", "packs"))
    if names is None:
        names = RulesTable().packs
    changes = document.value(("rules", "change"))
    readable = {
        name: change
        for name in (changes if isinstance(changes, dict) else {})
        if (change := read_table(ChangeTable, document, surroundings, at=("rules", "change", name))[0]) is not None
    }
    return RulesTable.model_construct(
        # An empty name holds the place of what is no name, so that the others keep their index.
        packs=[name if isinstance(name, str) and name.isprintable() else "" for name in names]
        if isinstance(names, list)
        else [],
        alpha=None,
        change=readable,
    )


def _default_store_issues(document: Document, surroundings: Surroundings) -> tuple[ConfigIssue, ...]:
    try:
        store_address(str(StoreSettings.url), surroundings.folder)
    except ValueError as exc:
        return (document.issue(("store", "url"), str(exc)),)
    return ()


def _settings(table: ConfigTable, rules: RuleSet, packs: tuple[Pack, ...], path: Path, folder: Path) -> Settings:
    platform, watch = table.platform, table.watch
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
        rules=rules,
        watch=WatchSettings(
            prompts=tuple(watch.prompts),
            exclude=tuple(watch.exclude),
            environment=watch.environment,
            baseline=watch.baseline,
            length=watch.length,
            min_baseline_calls=watch.min_baseline_calls,
            act=watch.act,
            tick=watch.tick,
        ),
        recovery=RecoverySettings(deadline=table.recovery.deadline),
        slack=None if table.slack is None else _slack(table.slack),
        store=StoreSettings(url=table.store.url or StoreSettings.url, folder=folder),
        log=LogSettings(level=table.log.level, format=table.log.format),
        file=path,
        packs=tuple(pack.used for pack in packs),
    )


def _slack(table: SlackTable) -> SlackSettings:
    # slack-sdk puts the method's name right behind the address.
    return SlackSettings(
        token=table.token, channel=table.channel, webhook=table.webhook, api_url=f"{table.api_url.rstrip('/')}/"
    )
