"""What the models of all tables share, and how their errors become issues with a place."""

from __future__ import annotations

from types import UnionType
from typing import TYPE_CHECKING, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError
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


def keys_of(model: type[Table], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Path of every key that the table may hold, tables themselves left out; `*` where the user chooses the name."""
    for name, info in model.model_fields.items():
        inner = _table_in(info.annotation)
        if inner is None:
            yield (*path, name)
        elif _chooses_names(info.annotation):
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
            return document.issue(path, f'got {got}; must be an array of texts in square brackets, such as ["a", "b"]')
        case "too_short":
            return document.issue(path, "is empty; must hold at least one text; leave the key out for the default")
        case "model_type" | "dict_type":
            header = quoted(f"[{dotted(path)}]")
            return document.issue(
                path, f"got {shown(document.value(path))}; must be a table, opened by the line {header}"
            )
        case other:  # pragma: no cover - the kinds leave pydantic nothing else to say
            raise AssertionError(f"pydantic reported {other}, for which there are no words")


def _missing(model: type[Table], path: KeyPath) -> str:
    field = _model_at(model, path[:-1]).model_fields[str(path[-1])]
    if _table_in(field.annotation) is not None:
        return f"the table is missing; add the line {quoted(f'[{dotted(path)}]')} and its keys"
    allowed = next((part.allowed for part in field.metadata if isinstance(part, Kind)), "set")
    return f"is missing; must be {allowed}"


def _unknown(model: type[Table], inner: KeyPath, document: Document, path: KeyPath) -> ConfigIssue:
    name = str(path[-1])
    fields = _model_at(model, inner[:-1]).model_fields
    homes = [
        home
        for home, info in fields.items()
        if (table := _table_in(info.annotation)) is not None and not _chooses_names(info.annotation)
        if name in table.model_fields
    ]
    if homes:
        places = " or ".join(quoted(f"[{dotted((*path[:-1], home))}]") for home in homes)
        return document.issue(path, f"unknown key {quoted(name)}; it belongs under {places}")
    meant = did_you_mean(name, tuple(fields))
    # A key that nobody knows may hold anything, a secret included: show the line only where it is a slip of the pen.
    return document.issue(path, unknown("unknown key", name, tuple(fields), "allowed"), may_show=meant != "")


def _model_at(model: type[Table], path: KeyPath) -> type[Table]:
    names_chosen = False
    for part in path:
        if names_chosen:
            names_chosen = False
            continue
        annotation = model.model_fields[str(part)].annotation
        names_chosen = _chooses_names(annotation)
        model = _table_in(annotation) or model
    return model


def _table_in(annotation: object) -> type[Table] | None:
    """The table that a field's annotation speaks of: itself, optional, or as the values of a dict."""
    if isinstance(annotation, type) and issubclass(annotation, Table):
        return annotation
    if _chooses_names(annotation) or get_origin(annotation) in (Union, UnionType):
        return next((found for part in get_args(annotation) if (found := _table_in(part)) is not None), None)
    return None


def _chooses_names(annotation: object) -> bool:
    return get_origin(annotation) is dict
