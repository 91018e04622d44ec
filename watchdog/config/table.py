"""What the models of all tables share, and how their errors become issues with a place."""

from __future__ import annotations

from dataclasses import dataclass
from types import UnionType
from typing import TYPE_CHECKING, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from watchdog.config.disclosure import did_you_mean, quoted, shown, unknown
from watchdog.config.document import dotted
from watchdog.config.kinds import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic_core import ErrorDetails

    from watchdog.config.document import Document
    from watchdog.config.kinds import Surroundings
    from watchdog.config.locate import KeyPath
    from watchdog.errors import ConfigIssue


class Table(BaseModel):
    """A table of a TOML file: unknown keys are errors, nothing is converted, and no message repeats an input."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


AnyTable = TypeVar("AnyTable", bound=Table)


@dataclass(frozen=True)
class KeyedBy:
    """Beside a dict: the kind of its keys, which the user chooses."""

    kind: Kind


def means(text: str) -> Any:
    """What a key is for, as the documentation and editors say it; Markdown."""
    return Field(description=text)


def at_key(key: str, reason: str) -> PydanticCustomError:
    """An error of a table as a whole that is to be shown at one of its keys, present or missing."""
    return PydanticCustomError("at_key", "{reason}", {"reason": reason, "key": key})


def read_table(
    model: type[AnyTable], document: Document, surroundings: Surroundings, *, at: KeyPath = ()
) -> tuple[AnyTable | None, tuple[ConfigIssue, ...]]:
    """
    The table at the path, or every issue in it.

    Args:
        at: path of the table in the document; the empty path is the whole document. An absent table counts as empty.
    """
    value = document.data if not at else document.value(at)
    try:
        return model.model_validate({} if value is None else value, context=surroundings), ()
    except ValidationError as exc:
        errors = exc.errors(include_url=False, include_input=False)
        return None, tuple(_issue(error, model, document, at) for error in errors)


def read_rest(
    model: type[AnyTable], document: Document, surroundings: Surroundings, *, at: KeyPath
) -> tuple[AnyTable | None, frozenset[str]]:
    """
    The table without the keys that have an issue, and the names of these keys; None where that is no table either.

    What is wrong with the keys is not said: `read_table` has said it.
    """
    value = document.value(at)
    if not isinstance(value, dict):
        return None, frozenset()
    try:
        return model.model_validate(value, context=surroundings), frozenset()
    except ValidationError as exc:
        wrong = frozenset(str(error["loc"][0]) for error in exc.errors(include_url=False) if error["loc"])
    rest = {key: content for key, content in value.items() if key not in wrong}
    try:
        return model.model_validate(rest, context=surroundings), wrong
    except ValidationError:
        return None, wrong


def keys_of(model: type[Table], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Path of every key that the table may hold, tables left out; `*` for an index or a name that the user chooses."""
    for name, info in model.model_fields.items():
        inner = table_in(info.annotation)
        if inner is None:
            # A dict of single values has names that the user chooses as well.
            yield (*path, name, "*") if get_origin(info.annotation) is dict else (*path, name)
        elif holds_many(info.annotation):
            yield from keys_of(inner, (*path, name, "*"))
        else:
            yield from keys_of(inner, (*path, name))


def _issue(error: ErrorDetails, model: type[Table], document: Document, at: KeyPath) -> ConfigIssue:
    inner, path = error["loc"], at + error["loc"]
    match error["type"]:
        case "kind":
            return document.issue(path, error["msg"])
        case "at_key":
            return document.issue((*path, error["ctx"]["key"]), error["msg"])
        case "missing":
            return document.issue(path, _missing(model, inner))
        case "extra_forbidden":
            return _unknown(model, inner, document, path)
        case "list_type":
            got = shown(document.value(path))
            if table_in(_annotation_at(model, inner)) is not None:
                header = quoted(f"[[{dotted(path)}]]")
                return document.issue(path, f"got {got}; must be one table or more, each opened by the line {header}")
            return document.issue(path, f'got {got}; must be an array of texts in square brackets, such as ["a", "b"]')
        case "too_short":
            return document.issue(path, "is empty; must hold at least one text; leave the key out for the default")
        case "model_type" | "dict_type":
            listed = isinstance(path[-1], int)
            header = quoted(f"[[{dotted(path[:-1])}]]" if listed else f"[{dotted(path)}]")
            return document.issue(
                path, f"got {shown(document.value(path))}; must be a table, opened by the line {header}"
            )
        case other:  # pragma: no cover - the kinds leave pydantic nothing else to say
            raise AssertionError(f"pydantic reported {other}, for which there are no words")


def _missing(model: type[Table], path: KeyPath) -> str:
    field = _model_at(model, path[:-1]).model_fields[str(path[-1])]
    if table_in(field.annotation) is not None:
        return f"the table is missing; add the line {quoted(f'[{dotted(path)}]')} and its keys"
    allowed = next((part.allowed for part in field.metadata if isinstance(part, Kind)), "set")
    return f"is missing; must be {allowed}"


def _unknown(model: type[Table], inner: KeyPath, document: Document, path: KeyPath) -> ConfigIssue:
    name = str(path[-1])
    fields = _model_at(model, inner[:-1]).model_fields
    homes = [
        home
        for home, info in fields.items()
        if (table := table_in(info.annotation)) is not None and not holds_many(info.annotation)
        if name in table.model_fields
    ]
    if homes:
        places = " or ".join(quoted(f"[{dotted((*path[:-1], home))}]") for home in homes)
        return document.issue(path, f"unknown key {quoted(name)}; it belongs under {places}")
    meant = did_you_mean(name, tuple(fields))
    # A key that nobody knows may hold anything, a secret included: show the line only where it is a slip of the pen.
    return document.issue(path, unknown("unknown key", name, tuple(fields), "allowed"), may_show=meant != "")


def _model_at(model: type[Table], path: KeyPath) -> type[Table]:
    return table_in(_annotation_at(model, path)) or model


def _annotation_at(model: type[Table], path: KeyPath) -> object:
    """Of the field at the path, or of the one whose name or index the path ends with."""
    annotation: object = model
    one_of_many = False
    for part in path:
        if one_of_many:
            one_of_many = False
            continue
        table = table_in(annotation)
        if table is None:
            break
        annotation = table.model_fields[str(part)].annotation
        one_of_many = holds_many(annotation)
    return annotation


def table_in(annotation: object) -> type[Table] | None:
    """The table that a field's annotation speaks of: itself, optional, or as the items of a dict or an array."""
    if isinstance(annotation, type) and issubclass(annotation, Table):
        return annotation
    if holds_many(annotation) or get_origin(annotation) in (Union, UnionType):
        return next((found for part in get_args(annotation) if (found := table_in(part)) is not None), None)
    return None


def holds_many(annotation: object) -> bool:
    """Whether it is a dict, whose names the user chooses, or an array."""
    return get_origin(annotation) in (dict, list)
