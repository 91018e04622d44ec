"""
JSON Schema of the configuration and of rule packs, for editors that complete and check while one types.

Made from the very tables and kinds that read the files, so that it cannot say anything else than they do. All that
`promptwatch check` accepts fits the schema. The other way round it need not: whether a secret is there, or a rule of
that name, or a duration in its range, only `check` can tell.
"""

from __future__ import annotations

from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any, get_args, get_origin

from pydantic_core import PydanticUndefined

from watchdog.config.kinds import Kind, duration_text
from watchdog.config.rule_schema import PackTable, RuleTable
from watchdog.config.schema import ConfigTable
from watchdog.config.table import KeyedBy, Table, holds_many, table_in
from watchdog.core.rules import ALLOWED_METHODS, ALLOWED_STATISTICS, Metric, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic.fields import FieldInfo

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_RULE_DEFAULTS = ("weight", "min_calls", "action", "severity", "method")


def config_schema() -> dict[str, Any]:
    """Of a configuration file."""
    return _document(ConfigTable, "Configuration of the prompt watchdog")


def rules_schema() -> dict[str, Any]:
    """Of a rule pack."""
    return _document(PackTable, "Rule pack of the prompt watchdog")


def _document(model: type[Table], title: str) -> dict[str, Any]:
    defs: dict[str, Any] = {}
    whole = _table(model, defs)
    return {"$schema": _DIALECT, "title": title, **whole, "$defs": dict(sorted(defs.items()))}


def _table(model: type[Table], defs: dict[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {name: _key(model, name, info, defs) for name, info in model.model_fields.items()},
    }
    if required := [name for name, info in model.model_fields.items() if info.is_required()]:
        schema["required"] = required
    if issubclass(model, RuleTable):
        schema["allOf"] = list(_combinations())
    return schema


def _key(model: type[Table], name: str, info: FieldInfo, defs: dict[str, Any]) -> dict[str, Any]:
    schema = _value(info, defs)
    meaning = [text for text in (info.description, schema.get("description")) if text]
    if meaning:
        schema["description"] = "\n\n".join(meaning)
    default = _default(model, name, info)
    if default is not None:
        schema["default"] = default
    return schema


def _value(info: FieldInfo, defs: dict[str, Any]) -> dict[str, Any]:
    table = table_in(info.annotation)
    if table is not None:
        return _tables(table, info, defs)
    kind = _kind(info.metadata)
    if kind is not None:
        return _described(kind)
    if get_origin(info.annotation) is dict:
        return {"type": "object", "propertyNames": _names(info), "additionalProperties": _described(_item(info))}
    return _array(info)


def _tables(table: type[Table], info: FieldInfo, defs: dict[str, Any]) -> dict[str, Any]:
    name = table.__name__.removesuffix("Table").lower()
    if name not in defs:
        defs[name] = {}  # holds the place, should a table ever hold one of its own kind
        defs[name] = _table(table, defs)
    reference = {"$ref": f"#/$defs/{name}"}
    if not holds_many(info.annotation):
        return dict(reference)
    if get_origin(info.annotation) is not dict:
        return {"type": "array", "items": reference}
    return {"type": "object", "propertyNames": _names(info), "additionalProperties": reference}


def _names(info: FieldInfo) -> dict[str, object]:
    """What names the user may choose."""
    return dict(next(part.kind for part in info.metadata if isinstance(part, KeyedBy)).schema)


def _item(info: FieldInfo) -> Kind:
    """Of the values of a dict or an array."""
    return next(
        kind for part in _inner(info.annotation) if (kind := _kind(getattr(part, "__metadata__", ()))) is not None
    )


def _array(info: FieldInfo) -> dict[str, Any]:
    """An array of texts, each of one kind; it may be optional."""
    schema: dict[str, Any] = {"type": "array", "items": _described(_item(info))}
    least = next((part.min_length for part in info.metadata if hasattr(part, "min_length")), 0)
    return {**schema, "minItems": least} if least else schema


def _inner(annotation: object) -> Iterator[object]:
    for part in get_args(annotation):
        yield part
        yield from _inner(part)


def _kind(metadata: object) -> Kind | None:
    parts = metadata if isinstance(metadata, list | tuple) else ()
    return next((part for part in parts if isinstance(part, Kind)), None)


def _described(kind: Kind) -> dict[str, Any]:
    """With what is allowed in words; where the words only list the members, editors do so themselves."""
    said = {} if "enum" in kind.schema else {"description": f"Must be {kind.allowed}."}
    return {**kind.schema, **said}


def _default(model: type[Table], name: str, info: FieldInfo) -> object:
    """As TOML writes it; None where there is none, or where it is a table."""
    value = info.get_default(call_default_factory=True)
    if value is PydanticUndefined or (value is None and issubclass(model, RuleTable) and name in _RULE_DEFAULTS):
        value = getattr(Rule, name, None) if name in _RULE_DEFAULTS else None
    match value:
        case timedelta():
            return duration_text(value)
        case Enum():
            return value.value
        case bool() | int() | float() | str() | list():
            return value
        case _:
            return None


def _combinations() -> Iterator[Mapping[str, Any]]:
    """Which statistic fits which metric, and which method which statistic."""
    for metric, statistics in ALLOWED_STATISTICS.items():
        allowed = {"statistic": {"enum": [statistic.value for statistic in statistics]}}
        yield _where("metric", metric, allowed)
    for statistic, methods in ALLOWED_METHODS.items():
        yield _where("statistic", statistic, {"method": {"enum": [method.value for method in methods]}})
    yield {"if": _is("metric", Metric.ERROR_KIND), "then": {"required": ["error_kind"]}}


def _where(key: str, member: Enum, properties: Mapping[str, object]) -> Mapping[str, Any]:
    return {"if": _is(key, member), "then": {"properties": properties}}


def _is(key: str, member: Enum) -> Mapping[str, Any]:
    # Without `required` a missing key would count as being it.
    return {"required": [key], "properties": {key: {"const": member.value}}}
