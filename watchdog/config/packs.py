"""Rule packs: found by name or path, read, put together, and changed as the configuration asks."""

from __future__ import annotations

import hashlib
import importlib.resources
import json
import os
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from watchdog.config.disclosure import quoted, unknown
from watchdog.config.document import Document, read_document
from watchdog.config.kinds import Surroundings
from watchdog.config.rule_schema import ALPHA, RULE_NAME, PackTable, changed, misfits, to_rule
from watchdog.config.settings import PackUsed
from watchdog.config.table import read_table
from watchdog.core.rules import RuleSet
from watchdog.errors import ConfigError, ConfigIssue

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from importlib.resources.abc import Traversable

    from watchdog.config.locate import KeyPath
    from watchdog.config.rule_schema import ChangeTable, RuleTable
    from watchdog.core.rules import Rule

DEFAULT_ALPHA = 0.005


@dataclass(frozen=True, kw_only=True)
class Pack:
    """
    One pack as it was read.

    Attributes:
        alpha: None where the pack does not say.
        rules: by name, in the order of the file.
    """

    used: PackUsed
    document: Document
    alpha: float | None
    rules: Mapping[str, RuleTable]


def load_rules(
    packs: Sequence[str] = ("default",), *, folder: Path | None = None, alpha: float | None = None
) -> RuleSet:
    """
    The rules of some packs, without a configuration file.

    Args:
        packs: names of built-in packs, or paths of TOML files.
        folder: what relative paths are relative to; None for the working directory.
        alpha: in (0, 0.5); None for the smallest that the packs ask for.

    Raises: ConfigError: every issue in every pack.
    """
    asked = Document(file="rules", data={}, places={}, lines=())
    surroundings = Surroundings(folder=(folder or Path()).absolute(), env={})
    read, issues = read_packs(packs, asked, surroundings)
    if alpha is not None:
        try:
            ALPHA.parse(alpha, surroundings)
        except ValueError as exc:
            issues += (asked.issue(("rules", "alpha"), f"{exc}; must be {ALPHA.allowed}"),)
    rules, more = combine(read, asked, alpha=alpha, changes={})
    issues += more
    if issues:
        raise ConfigError(issues)
    return rules


def rule_set(*, source: str, alpha: float, rules: Sequence[Rule]) -> RuleSet:
    """
    A rule set with its digest: SHA-256 over alpha and the rules by name.

    Where the rules came from is not part of it: a pack that was moved still decides alike.
    """
    content = {"alpha": alpha, "rules": [asdict(rule) for rule in sorted(rules, key=lambda rule: rule.name)]}
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False, default=_plain)
    return RuleSet(
        source=source, alpha=alpha, rules=tuple(rules), digest=hashlib.sha256(canonical.encode("ascii")).hexdigest()
    )


def builtin_folder(package: Traversable) -> Traversable:
    """
    The folder of the built-in packs: inside an installed package, beside it in a checkout of the sources.

    Args:
        package: the folder of the package `watchdog`.
    """
    installed = package / "_builtin_rules"
    return installed if installed.is_dir() else Path(str(package)).parent / "rules"


def builtin_packs() -> tuple[str, ...]:
    """Names of the built-in packs, sorted."""
    folder = builtin_folder(importlib.resources.files("watchdog"))
    if not folder.is_dir():
        return ()
    return tuple(sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml")))


def read_packs(
    names: Sequence[str], asked: Document, surroundings: Surroundings
) -> tuple[tuple[Pack, ...], tuple[ConfigIssue, ...]]:
    """
    Every pack that can be read, and every issue in the others.

    Args:
        names: an empty one is passed over; the array's own check has reported it.
        asked: the document whose array `rules.packs` holds the names.
    """
    packs: list[Pack] = []
    issues: list[ConfigIssue] = []
    for index, name in enumerate(names):
        at: KeyPath = ("rules", "packs", index)
        if not name:
            continue
        if name in names[:index]:
            issues.append(asked.issue(at, f"the pack {quoted(name)} is listed twice; remove one"))
            continue
        if not _is_path(name) and name not in builtin_packs():
            issues.append(asked.issue(at, _unknown_pack(name)))
            continue
        try:
            document = _read_pack(name, surroundings.folder)
        except ConfigError as exc:
            # A pack that is not there is an error of the line that names it, all else one of the pack's.
            issues.extend(issue if issue.line else _at_name(asked, at, issue) for issue in exc.issues)
            continue
        pack, found = _checked(name, document, surroundings)
        issues.extend(found)
        if pack is not None:
            packs.append(pack)
    return tuple(packs), tuple(issues)


def combine(
    packs: Sequence[Pack], asked: Document, *, alpha: float | None, changes: Mapping[str, ChangeTable]
) -> tuple[RuleSet, tuple[ConfigIssue, ...]]:
    """
    The rules of all packs with the changes, and every issue; with issues the rule set is not to be used.

    Args:
        asked: the document that holds `rules.change`.
        alpha: None for the smallest that the packs ask for.
    """
    issues: list[ConfigIssue] = []
    homes: dict[str, Pack] = {}
    rules: list[Rule] = []
    for pack in packs:
        for name, table in pack.rules.items():
            if name in homes:
                issues.append(_twice(name, pack, homes[name]))
                continue
            homes[name] = pack
            change = changes.get(name)
            table = table if change is None else changed(table, change)  # noqa: PLW2901 - the same rule, changed
            found = [_misfit(name, key, why, pack, asked, change) for key, why in misfits(table)]
            issues.extend(found)
            if not found:
                rules.append(to_rule(name, table))
    for name in changes:
        if packs and name not in homes:
            message = unknown("no pack has a rule", name, tuple(homes), "the packs have")
            issues.append(asked.issue(("rules", "change", name), message))
    source = " + ".join(pack.used.name for pack in packs)
    if changes:
        source += f", changed: {', '.join(sorted(changes))}"
    if alpha is None:
        alpha = min((pack.alpha for pack in packs if pack.alpha is not None), default=DEFAULT_ALPHA)
    return rule_set(source=source, alpha=alpha, rules=rules), tuple(issues)


def _is_path(name: str) -> bool:
    return name.endswith(".toml") or "/" in name or os.sep in name


def _read_pack(name: str, folder: Path) -> Document:
    if _is_path(name):
        return read_document(
            folder / name, file=name, hint="a path is relative to the folder of the configuration file"
        )
    file = f"{name}.toml"
    source = builtin_folder(importlib.resources.files("watchdog")) / file
    return read_document(source, file=f"rules/{file}", hint="reinstall the program")


def _checked(name: str, document: Document, surroundings: Surroundings) -> tuple[Pack | None, tuple[ConfigIssue, ...]]:
    table, issues = read_table(PackTable, document, surroundings)
    rules = document.data.get("rule")
    if rules == {}:
        issues += (document.issue(("rule",), "holds no rule; a rule is a table such as `[rule.success]`"),)
    for rule_name in rules if isinstance(rules, dict) else ():
        try:
            RULE_NAME.parse(rule_name, surroundings)
        except ValueError:
            issues += (document.issue(("rule", rule_name), f"{quoted(rule_name)} must be {RULE_NAME.allowed}"),)
    if table is None:
        return None, issues
    used = PackUsed(name=name, file=document.file, description=table.description)
    return Pack(used=used, document=document, alpha=table.alpha, rules=table.rule), issues


def _unknown_pack(name: str) -> str:
    known = builtin_packs()
    if not known:
        return "no built-in packs were found; reinstall the program, or name a file of your own"
    return f"{unknown('there is no built-in pack', name, known, 'built-in')}; a file of your own ends in `.toml`"


def _at_name(asked: Document, at: KeyPath, issue: ConfigIssue) -> ConfigIssue:
    return asked.issue(at, f"{quoted(issue.file)}: {issue.message}")


def _twice(name: str, pack: Pack, first: Pack) -> ConfigIssue:
    there = first.document.issue(("rule", name), "")
    message = (
        f"the rule {quoted(name)} is already in {there.file}:{there.line}:{there.column}; "
        "rename one of the two, or list one of the packs only"
    )
    return pack.document.issue(("rule", name), message)


def _misfit(name: str, key: str, why: str, pack: Pack, asked: Document, change: ChangeTable | None) -> ConfigIssue:
    if change is not None and getattr(change, key, None) is not None:
        return asked.issue(("rules", "change", name, key), why)
    return pack.document.issue(("rule", name, key), why)


def _plain(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    raise TypeError(f"{type(value).__name__} has no canonical form")
