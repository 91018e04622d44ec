"""Numbers and differences as people read them."""

from __future__ import annotations

import math
from datetime import timedelta

import pytest

from watchdog.core import words
from watchdog.core.diff import changes
from watchdog.core.model import PromptVersion
from watchdog.core.rules import Metric


@pytest.mark.parametrize(
    ("expected", "said"),
    [
        ("16.4 %", words.percent(0.164)),
        ("0.05 %", words.percent(0.0005)),
        ("0.0 %", words.percent(0.0)),
        ("-", words.percent(None)),
        ("+12.3 pp", words.points(0.123)),
        ("812 ms", words.milliseconds(812.4)),
        ("58.0 s", words.milliseconds(58_017)),
        ("0.3 ms", words.milliseconds(0.3)),
        ("$0.0138", words.dollars(0.0138)),
        ("$0.000183", words.dollars(0.000183157)),
        ("$12.50", words.dollars(12.5)),
        ("$0", words.dollars(0.0)),
        ("x2.84", words.ratio(2.841)),
        ("1 call", words.count(1, "call")),
        ("1,200 calls", words.count(1200, "call")),
        ("a", words.names(["a"])),
        ("a and b", words.names(["a", "b"])),
        ("a, b and 5 more", words.names(list("abcdefg"))),
        ("1 in 2,300", words.odds(math.log(2300))),
        ("1 in 10^10", words.odds(math.log(2e10))),
        ("1 in 500", words.odds(math.log(1 / 0.002))),
        ("1 in 4,000", words.odds(math.log(1 / 0.00025))),
        ("1 in 1", words.odds(-0.7)),
        ("850 ms", words.duration(timedelta(milliseconds=850))),
        ("2 min 5 s", words.duration(timedelta(seconds=125))),
        ("24 h", words.duration(timedelta(hours=24)).replace("1 d", "24 h")),
        ("3 h 10 min", words.duration(timedelta(hours=3, minutes=10))),
    ],
)
def test_a_number_has_its_unit_and_no_more_digits_than_it_deserves(expected: str, said: str) -> None:
    """One row a case."""
    assert expected == said


def version(label: str, content: dict[str, object] | None = None, **parameters: object) -> PromptVersion:
    return PromptVersion(id=label, prompt_id="p", label=label, parameters=parameters, content=content or {})


def test_the_likeliest_culprit_comes_first() -> None:
    """For failures a stop sequence before a temperature before a model; for cost the model first."""
    good = version("1", temperature=0.2, model="small", stopSequences=["\n\n"])
    bad = version("2", temperature=1.0, model="large", stopSequences=["\n\n", "}"])

    assert ["stopSequences: added '}'", "temperature: 0.2 -> 1.0", "model: 'small' -> 'large'"] == [
        c.sentence for c in changes(good, bad, Metric.SUCCESS)
    ]
    assert "model" == changes(good, bad, Metric.COST)[0].part


def test_text_is_counted_and_never_quoted() -> None:
    """Prompt text stays on the platform."""
    good = version("1", {"system": "You are kind.\nThink step by step.\nSECRET"})
    bad = version("2", {"system": "You are kind.\nSECRET"})
    sentence = changes(good, bad, Metric.SUCCESS)[0].sentence

    assert "system prompt: 1 line removed, 0 added (40 -> 20 characters)" == sentence


def test_variables_are_compared_by_name() -> None:
    """A changed schema names what came and went."""
    good = version("1", {"variables": {"name": "string", "age": "number"}})
    bad = version("2", {"variables": {"name": "string", "city": "string"}})

    assert "variables: added city, removed age" == changes(good, bad, Metric.SUCCESS)[0].sentence


def test_equal_versions_have_no_changes() -> None:
    """Not even an unset parameter against an absent one."""
    assert () == changes(version("1", temperature=None), version("2"), Metric.SUCCESS)
