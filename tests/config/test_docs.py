"""Every key is documented, with its true default, and nothing else is."""

from __future__ import annotations

import re
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from watchdog.config.json_schema import config_schema, rules_schema
from watchdog.config.kinds import duration_text
from watchdog.config.packs import builtin_packs, load_rules
from watchdog.config.rule_schema import NEW_RULES_ACT, PackTable
from watchdog.config.schema import ConfigTable
from watchdog.config.settings import (
    EvidenceSettings,
    GuardSettings,
    HeartbeatSettings,
    LogSettings,
    PlatformSettings,
    RecoverySettings,
    ServerSettings,
    SlackSettings,
    StoreSettings,
    WatchSettings,
)
from watchdog.config.table import keys_of
from watchdog.core.model import ErrorKind
from watchdog.core.rules import ALLOWED_METHODS, ALLOWED_STATISTICS, Action, Method, Metric, Rule, Statistic

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.config.workbench import Bench

DOCS = Path(__file__).parents[2] / "docs"
CONFIGURATION = (DOCS / "configuration.md").read_text(encoding="utf-8")
RULES = (DOCS / "rules.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `([a-z_.*]+)` \|(.*)$", re.MULTILINE)
SETTINGS = {
    "platform": PlatformSettings,
    "watch": WatchSettings,
    "guards": GuardSettings,
    "recovery": RecoverySettings,
    "evidence": EvidenceSettings,
    "slack": SlackSettings,
    "store": StoreSettings,
    "server": ServerSettings,
    "heartbeat": HeartbeatSettings,
    "log": LogSettings,
}


def as_toml(value: object) -> str:
    """A default as the documentation writes it."""
    match value:
        case bool():
            return str(value).lower()
        case timedelta():
            return f'"{duration_text(value)}"'
        case Enum():
            return f'"{value.value}"'
        case tuple():
            return f"[{', '.join(map(as_toml, value))}]"
        case str():
            return f'"{value}"'
        case _:
            return str(value)


def test_the_keys_of_the_configuration_are_the_documented_ones() -> None:
    """A key without documentation, or a documented one that is gone, fails here."""
    expected = {".".join(path) for path in keys_of(ConfigTable)}

    assert expected == {key for key, _ in ROW.findall(CONFIGURATION)}


def test_the_keys_of_a_pack_are_the_documented_ones() -> None:
    """The same for rule packs."""
    expected = {".".join(path) for path in keys_of(PackTable)}

    assert expected == {
        key for key, _ in ROW.findall(RULES) if "." in key or key in ("alpha", "description", "threshold")
    }


DEFAULTS = [
    (f"{table}.{name}", default)
    for table, settings in SETTINGS.items()
    for name, default in vars(settings).items()
    if name in settings.__dataclass_fields__ and default is not None
]


@pytest.mark.parametrize(("key", "default"), DEFAULTS, ids=[key for key, _ in DEFAULTS])
def test_a_documented_default_is_the_true_one(key: str, default: object) -> None:
    """The third column of the key's row shows what the settings say."""
    row = dict(ROW.findall(CONFIGURATION))[key]

    assert f"`{as_toml(default)}`" == row.split(" | ")[1]


@pytest.mark.parametrize("key", ["weight", "min_calls", "action", "severity"])
def test_a_documented_default_of_a_rule_is_the_true_one(key: str) -> None:
    """The same for rules."""
    row = dict(ROW.findall(RULES))[f"rule.*.{key}"]
    # Made in Python a rule reverts; one of a pack that does not say what follows is new, and only observed.
    default = NEW_RULES_ACT if key == "action" else getattr(Rule, key)

    assert f"`{as_toml(int(default) if isinstance(default, float) else default)}`" == row.split(" | ")[1]


def test_the_documented_packs_and_their_rules_are_the_true_ones() -> None:
    """The table of built-in packs names each pack and each of its rules; strict has the rules of default."""
    rows = {
        name: re.findall(r"`([a-z0-9_]+)`", rest)
        for name, rest in re.findall(r"^\| `([a-z-]+)` \| .* \|(.*)\|$", RULES, re.MULTILINE)
    }
    names = {name: [rule.name for rule in load_rules((name,)).rules] for name in builtin_packs()}

    assert names.pop("strict") == names["default"]
    assert names == {name: rows[name] for name in names}


def test_the_documented_statistics_of_a_metric_are_the_allowed_ones() -> None:
    """The table of what fits what is the judge's own."""
    columns = [Statistic(name) for name in ("proportion", "quantile", "distribution", "mean", "limit")]
    for metric in Metric:
        row = re.search(rf"^\| `{metric.value}` \| [^|`\"]+ \|(.*)\|$", RULES, re.MULTILINE)

        assert row is not None
        cells = row[1].split("|")
        assert set(ALLOWED_STATISTICS[metric]) == {
            statistic for statistic, cell in zip(columns, cells, strict=True) if cell.strip()
        }


def test_every_method_is_documented_with_what_it_answers() -> None:
    """The table of methods is the judge's own."""
    rows = dict(re.findall(r"^\| `([a-z_]+)` \| ([^|]+) \| [^|]+ \|$", RULES, re.MULTILINE))

    for method in Method:
        answers = {statistic for statistic, methods in ALLOWED_METHODS.items() if method in methods}
        named = {statistic for statistic in Statistic if f"`{statistic.value}`" in rows[method.value]}
        assert answers == (named - {Statistic.QUANTILE} or set(Statistic))


def test_every_kind_of_error_is_documented() -> None:
    """A user can pick the one that is meant."""
    assert [] == [kind.value for kind in ErrorKind if f'`"{kind.value}"`' not in RULES]


def test_the_packs_in_the_documentation_work(bench: Bench) -> None:
    """What is copied from docs/rules.md loads."""
    (example,) = re.findall(r"```toml\n(.*?)```", RULES, re.DOTALL)
    bench.write(example, "example.toml")

    assert ["success", "latency_p95"] == [
        rule.name for rule in load_rules(("example.toml",), folder=bench.folder).rules
    ]


def test_the_configuration_in_the_documentation_works(bench: Bench) -> None:
    """The shortest complete configuration is one, and the example of rules for some prompts goes with it."""
    shortest, overrides, evidence = re.findall(r"```toml\n(.*?)```", CONFIGURATION, re.DOTALL)

    assert "https://api.prompthelm.app" == bench.load(shortest).platform.url
    assert ("CUST-[0-9]{6}", r"(?i)order no\. ?[0-9]{1,12}") == bench.load(shortest + evidence).evidence.redact
    success = bench.load(shortest + overrides).rules_for("support-reply").rules[0]
    assert ("success", 0.02, Action.SUGGEST) == (success.name, success.margin_abs, success.action)


def described(schema: dict[str, Any], root: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """Path and description of every key of a schema that has both."""
    text = schema.get("description", "")
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    inner = schema.get("additionalProperties") or schema.get("items")
    if "properties" in schema:
        for name, value in schema["properties"].items():
            yield from described(value, root, (*path, name))
    elif isinstance(inner, dict) and "$ref" in inner:
        yield from described(inner, root, (*path, "*"))
    elif text:
        named = (*path, "*") if "propertyNames" in schema else path
        yield ".".join(named), text.partition("\n")[0]


@pytest.mark.parametrize(
    ("page", "schema"), [(CONFIGURATION, config_schema()), (RULES, rules_schema())], ids=["configuration", "rules"]
)
def test_editors_say_what_the_documentation_says(page: str, schema: dict[str, Any]) -> None:
    """The meaning in a key's row is the description in its schema; changes of rules refer to the other page."""
    rows = dict(ROW.findall(page))
    expected = {
        key: text
        for key, text in described(schema, schema)
        if ".change." not in key and not key.startswith("platform.paths.")
    }

    assert expected == {key: rows[key].rstrip("| ").rpartition(" | ")[2] for key in expected}
