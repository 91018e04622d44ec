"""The JSON Schema for editors takes what the program takes, and refuses what an editor can refuse."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from tests.config.workbench import PLATFORM, switched_on
from watchdog.config.json_schema import config_schema, rules_schema
from watchdog.config.rule_schema import PackTable
from watchdog.config.schema import ConfigTable
from watchdog.config.table import keys_of

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PACKS = sorted((ROOT / "rules").glob("*.toml"))
PACK = 'description = "mine"\n[rule.r]\nmetric = "latency"\nstatistic = "quantile"\nquantile = 0.95\nmargin_rel = 0.2\n'


def problems(schema: dict[str, Any], text: str) -> list[str]:
    """Paths of everything that does not fit."""
    found = Draft202012Validator(schema).iter_errors(tomllib.loads(text))
    return [".".join(map(str, error.absolute_path)) for error in found]


@pytest.mark.parametrize("schema", [config_schema(), rules_schema()], ids=["config", "rules"])
def test_the_schema_is_one(schema: dict[str, Any]) -> None:
    """Of the dialect that it names."""
    Draft202012Validator.check_schema(schema)

    assert "https://json-schema.org/draft/2020-12/schema" == schema["$schema"]


@pytest.mark.parametrize(("name", "schema"), [("config", config_schema()), ("rules", rules_schema())])
def test_the_committed_copy_is_up_to_date(name: str, schema: dict[str, Any]) -> None:
    """`promptwatch schema` makes it anew."""
    assert schema == json.loads((ROOT / "docs" / "schema" / f"{name}.schema.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", PACKS, ids=lambda path: path.stem)
def test_every_shipped_pack_fits(path: Path) -> None:
    """As it is shipped."""
    assert [] == problems(rules_schema(), path.read_text(encoding="utf-8"))


def test_the_example_fits_with_and_without_its_comments() -> None:
    """Every line that shows a default or an example is one that an editor accepts."""
    text = (ROOT / "config.example.toml").read_text(encoding="utf-8")

    assert [] == problems(config_schema(), text)
    assert [] == problems(config_schema(), switched_on(text))


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('colour = "blue"', [""]),
        ('[watch]\npromts = ["*"]', ["watch"]),
        ('[watch]\ntick = "30"', ["watch.tick"]),
        ("[watch]\ntick = 30", ["watch.tick"]),
        ('[watch]\nact = "revrt"', ["watch.act"]),
        ("[watch]\nprompts = []", ["watch.prompts"]),
        ("[watch]\nmin_baseline_calls = 0", ["watch.min_baseline_calls"]),
        ("[rules]\nalpha = 0.5", ["rules.alpha"]),
        ('[rules]\nthreshold = "sure"', ["rules.threshold"]),
        ("[rules.change.Success]\nweight = 1", ["rules.change"]),
        ("[rules.change.success]\nmargin_abs = 5", ["rules.change.success.margin_abs"]),
        ("[[prompts]]\nalpha = 0.01", ["prompts.0"]),
        ('[[prompts]]\nmatch = "a b"', ["prompts.0.match"]),
        ('[slack]\nchannel = "#alerts"', ["slack.channel"]),
        ('[slack]\ntoken = "xoxb-1"', ["slack.token"]),
        ('[platform.paths]\npromote = "/p/{prompt_id}"', ["platform.paths.promote"]),
        ('[status]\nopenai = "status.openai.com"', ["status.openai"]),
        ('[status]\n" " = "https://status.openai.com"', ["status"]),
    ],
)
def test_a_broken_configuration_does_not_fit(text: str, where: list[str]) -> None:
    """An editor underlines the place."""
    assert where == problems(config_schema(), f"{text}\n{PLATFORM}" if "=" in text[:10] else f"{PLATFORM}{text}")


@pytest.mark.parametrize(
    ("before", "after", "where"),
    [
        ('description = "mine"\n', "", [""]),
        ('metric = "latency"\n', "", ["rule.r"]),
        ("margin_rel = 0.2", "margin_rel = 20", ["rule.r.margin_rel"]),
        ("margin_rel = 0.2", "margin = 0.2", ["rule.r"]),
        ('statistic = "quantile"', 'statistic = "mean"', ["rule.r.statistic"]),
        ("quantile = 0.95", 'quantile = 0.95\nmethod = "fisher"', ["rule.r.method"]),
        ('metric = "latency"', 'metric = "error_kind"', ["rule.r.statistic", "rule.r"]),
    ],
)
def test_a_broken_pack_does_not_fit(before: str, after: str, where: list[str]) -> None:
    """What does not go together included."""
    assert before in PACK
    assert where == problems(rules_schema(), PACK.replace(before, after, 1))


def leaves(schema: dict[str, Any], root: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Path of every key in the schema, as `keys_of` gives them."""
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    inner = schema.get("additionalProperties") or schema.get("items")
    if "properties" in schema:
        for name, value in schema["properties"].items():
            yield from leaves(value, root, (*path, name))
    elif isinstance(inner, dict) and "$ref" in inner:
        yield from leaves(inner, root, (*path, "*"))
    elif "propertyNames" in schema:
        yield (*path, "*")
    else:
        yield path


@pytest.mark.parametrize(
    ("schema", "model"), [(config_schema(), ConfigTable), (rules_schema(), PackTable)], ids=["config", "rules"]
)
def test_every_key_is_in_the_schema(schema: dict[str, Any], model: type[ConfigTable | PackTable]) -> None:
    """And no other."""
    assert set(keys_of(model)) == set(leaves(schema, schema))


def test_nothing_takes_a_key_that_nobody_knows() -> None:
    """In no table of either file."""
    for schema in (config_schema(), rules_schema()):
        tables = [schema, *schema["$defs"].values()]

        assert all(table["additionalProperties"] is False for table in tables)
