"""
What two versions of a prompt differ in, the likeliest culprit first, and why it is that.

Parameters are shown with their values. Text is only counted, never quoted: prompt text stays on the platform, and the
Compare page shows it to those who may see it.
"""

from __future__ import annotations

import difflib
from dataclasses import replace
from typing import TYPE_CHECKING

from watchdog.core.breakages import Change
from watchdog.core.culprit import support
from watchdog.core.rules import Metric

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from watchdog.core.culprit import Symptoms
    from watchdog.core.model import PromptVersion

NONE_EXPLAINS = "none of the changes explains it by itself"
# With less than this a change is not named as a cause.
_SUPPORTED = 0.25

# What usually breaks what, likeliest first. A part that is not named comes after those that are.
_SUSPECTS: dict[Metric, tuple[str, ...]] = {
    Metric.SUCCESS: ("stopSequences", "maxTokens", "system", "temperature", "model", "variables", "user"),
    Metric.ERROR_KIND: ("stopSequences", "maxTokens", "system", "temperature", "model", "variables", "user"),
    Metric.LATENCY: ("model", "maxTokens", "system", "user", "stopSequences"),
    Metric.COST: ("model", "maxTokens", "system", "user", "stopSequences"),
    Metric.FEEDBACK: ("system", "temperature", "model", "user", "topP"),
}
_TEXTS = {"system": "system prompt", "user": "prompt body"}


def changes(
    good: PromptVersion, bad: PromptVersion, suspect: Metric, symptoms: Symptoms | None = None
) -> tuple[Change, ...]:
    """
    What the bad version changed against the good one.

    Where something is known of what went wrong, those that explain it come first and say what they explain; the best of
    them is called the likeliest. Where none does, that is said at the end. Nothing known: in the order of what usually
    breaks what.

    Args:
        suspect: the metric that got worse; decides the order of those that explain nothing.
    """
    found = [*_parameter_changes(good.parameters, bad.parameters), *_content_changes(good.content, bad.content)]
    order = _SUSPECTS[suspect]
    found.sort(key=lambda c: (order.index(c.part) if c.part in order else len(order), c.part))
    if symptoms is None or not symptoms.known or not found:
        return tuple(found)
    ranked = sorted(((support(change, symptoms), change) for change in found), key=lambda pair: -pair[0].weight)
    supported = [(why, change) for why, change in ranked if why.weight >= _SUPPORTED]
    named = [
        _named(why.reason, change, supported[0][0].reason if n else None) for n, (why, change) in enumerate(supported)
    ]
    others = [change for _, change in ranked[len(supported) :]]
    # Sorting by support mixed them.
    others.sort(key=found.index)
    return (*named, *others) if named else (*others, Change(part="", sentence=NONE_EXPLAINS))


def _named(reason: str, change: Change, said: str | None) -> Change:
    """
    Args:
        said: the reason of the likeliest; None for that one itself. What was said is not said again.
    """
    if said is None:
        return replace(change, sentence=f"{change.sentence} (likeliest: {reason})")
    return replace(change, sentence=f"{change.sentence} ({'possible' if reason == said else f'possible: {reason}'})")


def _parameter_changes(good: Mapping[str, object], bad: Mapping[str, object]) -> Iterable[Change]:
    for name in sorted({*good, *bad}):
        before, after = good.get(name), bad.get(name)
        if before == after:
            continue
        lists = isinstance(before, list | tuple) or isinstance(after, list | tuple)
        sentence = _list_change(before, after) if lists else f"{_value(before)} -> {_value(after)}"
        yield Change(part=name, sentence=f"{name}: {sentence}", before=before, after=after)


def _list_change(before: object, after: object) -> str:
    old = list(before) if isinstance(before, list | tuple) else []
    new = list(after) if isinstance(after, list | tuple) else []
    parts = [f"added {_value(item)}" for item in new if item not in old]
    parts += [f"removed {_value(item)}" for item in old if item not in new]
    return ", ".join(parts) or "other order"


def _content_changes(good: Mapping[str, object], bad: Mapping[str, object]) -> Iterable[Change]:
    for part in sorted({*good, *bad}):
        before, after = good.get(part), bad.get(part)
        if before == after:
            continue
        if part in _TEXTS:
            sentence = _text_change(str(before or ""), str(after or ""))
            yield Change(part=part, sentence=f"{_TEXTS[part]}: {sentence}", before=before, after=after)
        else:
            sentence = _schema_change(before, after)
            yield Change(part=part, sentence=f"{part}: {sentence}", before=before, after=after)


def _text_change(before: str, after: str) -> str:
    removed = added = 0
    # By whole lines: looking for likenesses within them takes minutes for a long prompt.
    lines_of = difflib.SequenceMatcher(None, before.splitlines(), after.splitlines(), autojunk=False)
    for tag, old_from, old_to, new_from, new_to in lines_of.get_opcodes():
        if tag != "equal":
            removed += old_to - old_from
            added += new_to - new_from
    lines = f"{removed} line{'' if removed == 1 else 's'} removed, {added} added"
    return f"{lines} ({len(before):,} -> {len(after):,} characters)"


def _schema_change(before: object, after: object) -> str:
    old, new = _names(before), _names(after)
    if old is None or new is None:
        return "changed"
    parts = [f"added {name}" for name in sorted(new - old)] + [f"removed {name}" for name in sorted(old - new)]
    return ", ".join(parts) or "changed"


def _names(schema: object) -> set[str] | None:
    if isinstance(schema, dict):
        return {str(name) for name in schema}
    if isinstance(schema, list | tuple):
        return {str(item.get("name")) if isinstance(item, dict) else str(item) for item in schema}
    return set() if schema is None else None


def _value(value: object) -> str:
    if value is None:
        return "not set"
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
