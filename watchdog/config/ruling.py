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
from watchdog.config.table import read_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from watchdog.config.document import Document
    from watchdog.config.kinds import Surroundings
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
    # A pack that could not be read would make every change of its rules look like a mistake.
    complete = len(packs) == len(asked.packs)
    common = Changes(at=("rules", "change"), by_rule=asked.change if complete else {})
    rules, more = combine(packs, document, alpha=asked.alpha, threshold=asked.threshold, changes=(common,))
    issues += more
    made: dict[str, PromptRules] = {}
    for index, override in overrides:
        if override.match in made:
            message = f"{quoted(override.match)} is matched by an earlier table, and the first one counts; join the two"
            issues += (document.issue(("prompts", index, "match"), message),)
            continue
        own, more = _override(override, index, asked, packs, common, document, surroundings)
        made[override.match] = own
        issues += more
    # What is wrong with a pack or a common change is wrong for every table that has it; it is said once.
    return Ruling(packs=packs, rules=rules, overrides=tuple(made.values()), issues=tuple(dict.fromkeys(issues)))


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
    own = Changes(at=("prompts", index, "change"), by_rule=override.change if complete else {})
    rules, more = combine(
        packs,
        document,
        alpha=asked.alpha if override.alpha is None else override.alpha,
        threshold=asked.threshold if override.threshold is None else override.threshold,
        changes=(inherited, own),
    )
    rules = replace(rules, source=f"{rules.source}, for {override.match}")
    return PromptRules(glob=override.match, rules=rules), issues + more


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
        threshold=None,
        change=readable,
    )


def _readable_overrides(document: Document, surroundings: Surroundings) -> Iterable[tuple[int, PromptsTable]]:
    """Each table for some prompts that has no issue of its own, and its index."""
    tables = document.value(("prompts",))
    for index in range(len(tables)) if isinstance(tables, list) else ():
        table, _ = read_table(PromptsTable, document, surroundings, at=("prompts", index))
        if table is not None:
            yield index, table
