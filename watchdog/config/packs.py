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

from watchdog.config.disclosure import nearest, quoted, unknown
from watchdog.config.document import Document, in_order, read_document
from watchdog.config.kinds import Surroundings
from watchdog.config.rule_schema import (
    ALPHA,
    RULE_NAME,
    PackTable,
    RuleTable,
    changed,
    misfits,
    misfits_beside,
    to_rule,
)
from watchdog.config.settings import PackUsed
from watchdog.config.table import read_rest, read_table
from watchdog.core.rules import Action, Method, RuleSet
from watchdog.errors import ConfigError, ConfigIssue
from watchdog.stats.eprocess import ThresholdMode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from importlib.resources.abc import Traversable

    from watchdog.config.locate import KeyPath
    from watchdog.config.rule_schema import ChangeTable
    from watchdog.core.rules import Rule

DEFAULT_ALPHA = 0.005


@dataclass(frozen=True, kw_only=True)
class Pack:
    """
    One pack as it was read.

    Attributes:
        alpha, threshold: None where the pack does not say.
        rules: by name, in the order of the file.
        unread: names of the rules that have issues of their own; they are reported, and not among the rules.
    """

    used: PackUsed
    document: Document
    alpha: float | None
    threshold: ThresholdMode | None
    rules: Mapping[str, RuleTable]
    unread: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Changes:
    """
    What one table of the configuration changes of the packs' rules.

    Attributes:
        at: path of the table whose keys are the rules' names.
        packs: names of the packs whose rules are reached; None for all.
        complete: whether a rule that no pack has is an issue; a pack that could not be read may have it.
    """

    at: KeyPath
    by_rule: Mapping[str, ChangeTable]
    packs: frozenset[str] | None = None
    complete: bool = True

    def of(self, rule: str, pack: Pack) -> ChangeTable | None:
        """The change of this rule; None where there is none."""
        reaches = self.packs is None or pack.used.name in self.packs
        return self.by_rule.get(rule) if reaches else None


def load_rules(
    packs: Sequence[str] = ("default",),
    *,
    folder: Path | None = None,
    alpha: float | None = None,
    threshold: ThresholdMode | None = None,
) -> RuleSet:
    """
    The rules of some packs, without a configuration file.

    Args:
        packs: names of built-in packs, or paths of TOML files.
        folder: what relative paths are relative to; None for the working directory.
        alpha: in (0, 0.5); None for the smallest that the packs ask for.
        threshold: None for what the packs ask for.

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
    rules, more = combine(read, asked, alpha=alpha, threshold=threshold)
    issues += more
    if issues:
        raise ConfigError(in_order(issues, first=asked.file))
    return rules


def rule_set(
    *, source: str, alpha: float, rules: Sequence[Rule], threshold: ThresholdMode = ThresholdMode.PROVEN
) -> RuleSet:
    """
    A rule set with its digest: SHA-256 over alpha, the threshold and the rules by name.

    Where the rules came from is not part of it: a pack that was moved still decides alike. Nor is what stands at the
    default since before it could be chosen, so that digests in old databases go on to mean the same.
    """
    content = {"alpha": alpha, "rules": [_content(rule) for rule in sorted(rules, key=lambda rule: rule.name)]}
    if threshold is not ThresholdMode.PROVEN:
        content["threshold"] = threshold
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False, default=_plain)
    return RuleSet(
        source=source,
        alpha=alpha,
        rules=tuple(rules),
        digest=hashlib.sha256(canonical.encode("ascii")).hexdigest(),
        threshold=threshold,
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
    names: Sequence[str], asked: Document, surroundings: Surroundings, *, at: KeyPath = ("rules", "packs")
) -> tuple[tuple[Pack, ...], tuple[ConfigIssue, ...]]:
    """
    Every pack that can be read, those with issues too, as far as they have none; and every issue.

    Args:
        names: an empty one is passed over; the array's own check has reported it.
        asked: the document whose array holds the names.
        at: path of that array.
    """
    packs: list[Pack] = []
    issues: list[ConfigIssue] = []
    for index, name in enumerate(names):
        here = (*at, index)
        if not name:
            continue
        if name in names[:index]:
            issues.append(asked.issue(here, f"the pack {quoted(name)} is listed twice; remove one"))
            continue
        if not _is_path(name) and name not in builtin_packs():
            issues.append(asked.issue(here, _unknown_pack(name)))
            continue
        try:
            document = _read_pack(name, surroundings.folder)
        except ConfigError as exc:
            # A pack that is not there is an error of the line that names it, all else one of the pack's.
            issues.extend(issue if issue.line else _at_name(asked, here, issue) for issue in exc.issues)
            continue
        pack, found = _checked(name, document, surroundings)
        issues.extend(found)
        if pack is not None:
            packs.append(pack)
    return tuple(packs), tuple(issues)


def combine(
    packs: Sequence[Pack],
    asked: Document,
    *,
    alpha: float | None,
    threshold: ThresholdMode | None,
    changes: Sequence[Changes] = (),
) -> tuple[RuleSet, tuple[ConfigIssue, ...]]:
    """
    The rules of all packs with the changes, and every issue; with issues the rule set is not to be used.

    Args:
        asked: the document that holds the changes.
        alpha: None for the smallest that the packs ask for.
        threshold: None for what the packs ask for; where they differ, the proven one.
        changes: the later ones upon the earlier ones.
    """
    issues: list[ConfigIssue] = []
    homes: dict[str, Pack] = {}
    rules: list[Rule] = []
    touched: set[str] = set()
    for pack in packs:
        for name in pack.unread:
            homes.setdefault(name, pack)
        for name, table in pack.rules.items():
            if name in homes:
                issues.append(_twice(name, pack, homes[name]))
                continue
            homes[name] = pack
            made = [(c.at, change) for c in changes if (change := c.of(name, pack)) is not None]
            for _, change in made:
                table = changed(table, change)  # noqa: PLW2901 - the same rule, changed
                touched.add(name)
            found = [_misfit(name, key, why, pack, asked, made) for key, why in misfits(table)]
            issues.extend(found)
            if not found:
                rules.append(to_rule(name, table))
    for layer in changes:
        for name, change in layer.by_rule.items():
            if layer.packs is None and layer.complete and packs and name not in homes:
                message = unknown("no pack has a rule", name, tuple(homes), "the packs have")
                issues.append(asked.issue((*layer.at, name), message))
                issues.extend(_of_the_one_meant(name, change, homes, asked, layer.at))
    source = " + ".join(pack.used.name for pack in packs)
    if touched:
        source += f", changed: {', '.join(sorted(touched))}"
    if alpha is None:
        alpha = min((pack.alpha for pack in packs if pack.alpha is not None), default=DEFAULT_ALPHA)
    if threshold is None:
        wanted = {pack.threshold for pack in packs} - {None}
        threshold = ThresholdMode.CERTIFIED if wanted == {ThresholdMode.CERTIFIED} else ThresholdMode.PROVEN
    return rule_set(source=source, alpha=alpha, threshold=threshold, rules=rules), tuple(issues)


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
    if table is not None:
        used = PackUsed(name=name, file=document.file, description=table.description)
        pack = Pack(used=used, document=document, alpha=table.alpha, threshold=table.threshold, rules=table.rule)
        return pack, issues
    if not isinstance(rules, dict) or not rules:
        return None, issues
    pack, more = _readable(name, document, surroundings, tuple(rules))
    return pack, issues + more


def _readable(
    name: str, document: Document, surroundings: Surroundings, rule_names: Sequence[str]
) -> tuple[Pack, tuple[ConfigIssue, ...]]:
    """The rules of a pack with issues that have none themselves, and what does not go together in the others."""
    rules: dict[str, RuleTable] = {}
    issues: list[ConfigIssue] = []
    for rule_name in rule_names:
        at = ("rule", rule_name)
        table, wrong = read_rest(RuleTable, document, surroundings, at=at)
        if table is not None and not wrong:
            rules[rule_name] = table
        elif table is not None:
            issues += [document.issue((*at, key), why) for key, why in misfits_beside(table, wrong)]
    used = PackUsed(name=name, file=document.file, description="")
    unread = frozenset(rule_names) - rules.keys()
    return Pack(used=used, document=document, alpha=None, threshold=None, rules=rules, unread=unread), tuple(issues)


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


def _of_the_one_meant(
    name: str, change: ChangeTable, homes: Mapping[str, Pack], asked: Document, at: KeyPath
) -> Iterator[ConfigIssue]:
    """What would not fit if the name were spelt as it was probably meant: it need not wait for the second run."""
    meant = nearest(name, tuple(homes))
    table = None if meant is None else homes[meant].rules.get(meant)
    if table is None:
        return
    already = set(misfits(table))
    for key, why in misfits(changed(table, change)):
        if (key, why) not in already:
            yield asked.issue((*at, name, key), why)


def _misfit(
    name: str, key: str, why: str, pack: Pack, asked: Document, made: Sequence[tuple[KeyPath, ChangeTable]]
) -> ConfigIssue:
    """At the last change that sets the key, else in the pack."""
    for at, change in reversed(made):
        if getattr(change, key, None) is not None:
            return asked.issue((*at, name, key), why)
    return pack.document.issue(("rule", name, key), why)


def _content(rule: Rule) -> dict[str, object]:
    values = asdict(rule)
    if rule.method is Method.SEQUENTIAL:
        del values["method"]
    if rule.late_onset is None:
        del values["late_onset"]
    if rule.without_peers is Action.REVERT:
        del values["without_peers"]
    return values


def _plain(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    raise TypeError(f"{type(value).__name__} has no canonical form")
