"""What of a configuration that was read anew can be taken over while the daemon runs, and what needs a restart."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from watchdog.config.settings import Settings, WatchSettings
    from watchdog.core.rules import RuleSet

# Tables of which nothing can be swapped: connections are open, and the log is set up.
_FIXED_TABLES = ("platform", "status", "slack", "store", "server", "heartbeat", "log")
# Of [watch]: whose calls are read, and by which label they are told apart, is decided before the first one is counted.
_FIXED_OF_WATCH = ("environment", "segment_by")


def swapped(standing: Settings, read: Settings) -> Settings:
    """
    The standing settings with everything of the read ones that can be taken over: rules, overrides, guards, recovery,
    evidence, and the terms of a watch.
    """
    watch: WatchSettings = replace(
        read.watch, environment=standing.watch.environment, segment_by=standing.watch.segment_by
    )
    return replace(
        standing,
        rules=read.rules,
        overrides=read.overrides,
        packs=read.packs,
        watch=watch,
        guards=replace(read.guards, hold_file=standing.guards.hold_file),
        recovery=read.recovery,
        evidence=read.evidence,
    )


def needs_restart(standing: Settings, read: Settings) -> tuple[str, ...]:
    """Dotted names of the keys that differ and cannot be taken over, in the order of the file; never their values."""
    found = [
        name for table in _FIXED_TABLES for name in _differing(table, getattr(standing, table), getattr(read, table))
    ]
    of_watch = [f"watch.{name}" for name in _changed_names(standing.watch, read.watch) if name in _FIXED_OF_WATCH]
    # The file that holds everything: the daemon was told at its start where to look.
    of_guards = [f"guards.{name}" for name in _changed_names(standing.guards, read.guards) if name == "hold_file"]
    return (*found, *of_watch, *of_guards)


def differences(standing: Settings, read: Settings) -> tuple[str, ...]:
    """What a swap changes, one short phrase each, for people; empty where nothing changes."""
    return (
        *(f"watch.{name}" for name in _changed_names(standing.watch, read.watch)),
        *(f"guards.{name}" for name in _changed_names(standing.guards, read.guards)),
        *(f"recovery.{name}" for name in _changed_names(standing.recovery, read.recovery)),
        *(f"evidence.{name}" for name in _changed_names(standing.evidence, read.evidence)),
        *_of_rules(standing.rules, read.rules),
        *_of_overrides(standing, read),
    )


def _of_rules(standing: RuleSet, read: RuleSet) -> Iterator[str]:
    if standing.alpha != read.alpha:
        yield f"alpha {standing.alpha:g} -> {read.alpha:g}"
    if standing.threshold is not read.threshold:
        yield f"threshold {standing.threshold.value} -> {read.threshold.value}"
    before = {rule.name: rule for rule in standing.rules}
    after = {rule.name: rule for rule in read.rules}
    for name in dict.fromkeys((*before, *after)):
        if before.get(name) != after.get(name):
            verb = "added" if name not in before else "removed" if name not in after else "changed"
            yield f"rule {name} {verb}"


def _of_overrides(standing: Settings, read: Settings) -> Iterator[str]:
    before = {override.glob: (override.rules.digest, override.act) for override in standing.overrides}
    after = {override.glob: (override.rules.digest, override.act) for override in read.overrides}
    for glob in dict.fromkeys((*before, *after)):
        if before.get(glob) != after.get(glob):
            yield f"rules for {glob}"
    if before == after and list(before) != list(after):
        yield "order of [[prompts]]"


def _differing(table: str, standing: object, read: object) -> Iterator[str]:
    if standing is None or read is None:
        if standing is not read:
            yield table  # [slack] came or went
        return
    for name in _changed_names(standing, read):
        # Where the configuration lies is no key of its own.
        # Nor are the pages of [status], whose keys are providers.
        yield table if name in ("folder", "pages") else f"{table}.{name}"


def _changed_names(standing: object, read: object) -> Iterator[str]:
    for field in fields(standing):  # type: ignore[arg-type] # only settings come here
        if getattr(standing, field.name) != getattr(read, field.name):
            yield field.name
