"""
The rules that a configuration puts together: the common ones, and those for some prompts only.

Inheritance is one level deep. A `[[prompts]]` table starts from `[rules]`: what it does not say is as there. Where it
names packs of its own, they stand instead of the common ones; a change in `[rules.change]` goes with the rule of a
common pack wherever that pack is named, and never reaches the rules of another.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from watchdog.config.disclosure import quoted
from watchdog.config.packs import Changes, combine, read_packs
from watchdog.config.rule_schema import ChangeTable
from watchdog.config.schema import PromptsTable, RulesTable
from watchdog.config.settings import PromptRules
from watchdog.config.table import read_rest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from watchdog.config.document import Document
    from watchdog.config.kinds import Surroundings
    from watchdog.config.locate import KeyPath
    from watchdog.config.packs import Pack
    from watchdog.config.schema import ConfigTable
    from watchdog.core.rules import RuleSet
    from watchdog.errors import ConfigIssue


@dataclass(frozen=True, kw_only=True)
class Ruling:
    """
    Attributes:
        packs: the common ones.
        rules, overrides: not to be used where there are issues.
    """

    packs: tuple[Pack, ...]
    rules: RuleSet
    overrides: tuple[PromptRules, ...]
    issues: tuple[ConfigIssue, ...]


def rule_on(document: Document, surroundings: Surroundings, table: ConfigTable | None) -> Ruling:
    """
    The rules even where the rest of the file has issues, so that those of the packs are reported with them.

    Args:
        table: the whole file; None where it has issues.
    """
    asked = table.rules if table is not None else _readable_rules(document, surroundings)
    overrides = enumerate(table.prompts) if table is not None else _readable_overrides(document, surroundings)
    packs, issues = read_packs(asked.packs, document, surroundings)
    common = Changes(
        at=("rules", "change"),
        by_rule=asked.change,
        # A pack that could not be read would make every change of its rules look like a mistake.
        complete=len(packs) == len(asked.packs),
    )
    rules, more = combine(packs, document, alpha=asked.alpha, threshold=asked.threshold, changes=(common,))
    issues += more
    made: list[PromptRules] = []
    for index, override in overrides:
        if override.match and any(override.match == earlier.glob for earlier in made):
            message = f"{quoted(override.match)} is matched by an earlier table, and the first one counts; join the two"
            issues += (document.issue(("prompts", index, "match"), message),)
        own, more = _override(override, index, asked, packs, common, document, surroundings)
        made.append(own)
        issues += more
    # What is wrong with a pack or a common change is wrong for every table that has it; it is said once.
    return Ruling(packs=packs, rules=rules, overrides=tuple(made), issues=tuple(dict.fromkeys(issues)))


def _override(
    override: PromptsTable,
    index: int,
    asked: RulesTable,
    common_packs: Sequence[Pack],
    common: Changes,
    document: Document,
    surroundings: Surroundings,
) -> tuple[PromptRules, tuple[ConfigIssue, ...]]:
    packs: Sequence[Pack] = common_packs
    issues: tuple[ConfigIssue, ...] = ()
    complete = len(common_packs) == len(asked.packs)
    if override.packs is not None:
        packs, issues = read_packs(override.packs, document, surroundings, at=("prompts", index, "packs"))
        complete = len(packs) == len(override.packs)
    inherited = replace(common, packs=frozenset(asked.packs))
    own = Changes(at=("prompts", index, "change"), by_rule=override.change, complete=complete)
    rules, more = combine(
        packs,
        document,
        alpha=asked.alpha if override.alpha is None else override.alpha,
        threshold=asked.threshold if override.threshold is None else override.threshold,
        changes=(inherited, own),
    )
    rules = replace(rules, source=f"{rules.source}, for {override.match}")
    return PromptRules(glob=override.match, rules=rules, act=override.act), issues + more


def _readable_rules(document: Document, surroundings: Surroundings) -> RulesTable:
    """What can be told of [rules] in a file with issues."""
    packs = _readable_packs(document, ("rules", "packs"))
    return RulesTable.model_construct(
        packs=RulesTable().packs if packs is None else packs,
        alpha=None,
        threshold=None,
        change=_readable_changes(document, surroundings, ("rules", "change")),
    )


def _readable_overrides(document: Document, surroundings: Surroundings) -> Iterable[tuple[int, PromptsTable]]:
    """What can be told of each table for some prompts, and its index; its `match` is empty where it is no text."""
    tables = document.value(("prompts",))
    for index, table in enumerate(tables if isinstance(tables, list) else ()):
        at = ("prompts", index)
        match = document.value((*at, "match"))
        if isinstance(table, dict):
            yield (
                index,
                PromptsTable.model_construct(
                    match=match if isinstance(match, str) else "",
                    act=None,
                    packs=_readable_packs(document, (*at, "packs")),
                    alpha=None,
                    threshold=None,
                    change=_readable_changes(document, surroundings, (*at, "change")),
                ),
            )


def _readable_packs(document: Document, at: KeyPath) -> list[str] | None:
    """An empty name holds the place of what is no name, so that the others keep their index. None: not set."""
    names = document.value(at)
    if names is None:
        return None
    listed = names if isinstance(names, list) else []
    return [name if isinstance(name, str) and name.isprintable() else "" for name in listed]


def _readable_changes(document: Document, surroundings: Surroundings, at: KeyPath) -> dict[str, ChangeTable]:
    """Each change without its keys that have an issue."""
    changes = document.value(at)
    return {
        name: change
        for name in (changes if isinstance(changes, dict) else {})
        if (change := read_rest(ChangeTable, document, surroundings, at=(*at, name))[0]) is not None
    }
