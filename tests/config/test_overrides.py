"""Rules for some prompts only: they start from the common ones, and inherit one level deep."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.config.workbench import PLATFORM, Bench
from watchdog.config.packs import load_rules
from watchdog.core.rules import Method
from watchdog.stats.eprocess import ThresholdMode

if TYPE_CHECKING:
    from watchdog.core.rules import Rule, RuleSet


def rule(rules: RuleSet, name: str) -> Rule:
    return next(rule for rule in rules.rules if rule.name == name)


def names(rules: RuleSet) -> list[str]:
    return [rule.name for rule in rules.rules]


def test_the_first_match_counts(bench: Bench) -> None:
    """In the order of the file, and without a match the common rules do."""
    settings = bench.load(
        f'{PLATFORM}[[prompts]]\nmatch = "support-vip"\nalpha = 0.001\n[[prompts]]\nmatch = "support-*"\nalpha = 0.02\n'
    )

    assert 0.001 == settings.rules_for("support-vip").alpha
    assert 0.02 == settings.rules_for("support-reply").alpha
    assert settings.rules is settings.rules_for("search")


def test_what_a_table_does_not_say_is_as_in_the_common_rules(bench: Bench) -> None:
    """Packs, alpha, threshold and changes."""
    settings = bench.load(
        f'{PLATFORM}[rules]\nalpha = 0.01\nthreshold = "certified"\n[rules.change.cost]\nmargin_rel = 0.5\n'
        '[[prompts]]\nmatch = "a"\n'
    )

    own = settings.rules_for("a")
    assert settings.rules.digest == own.digest
    assert (0.01, ThresholdMode.CERTIFIED, 0.5) == (own.alpha, own.threshold, rule(own, "cost").margin_rel)


def test_a_change_stands_upon_the_common_change_key_by_key(bench: Bench) -> None:
    """The weight from below, the margin from above."""
    settings = bench.load(
        f"{PLATFORM}[rules.change.cost]\nmargin_rel = 0.5\nweight = 3\n"
        '[[prompts]]\nmatch = "a"\n[prompts.change.cost]\nmargin_rel = 0.7\n'
    )

    cost = rule(settings.rules_for("a"), "cost")
    assert (0.7, 3.0) == (cost.margin_rel, cost.weight)
    assert 0.5 == rule(settings.rules, "cost").margin_rel


def test_packs_stand_instead_of_the_common_ones(bench: Bench) -> None:
    """None of the common packs' rules is left."""
    settings = bench.load(f'{PLATFORM}[[prompts]]\nmatch = "a"\npacks = ["cost-guard"]\n')

    assert ["cost_guard_mean", "cost_guard_p95", "cost_guard_ceiling"] == names(settings.rules_for("a"))


def test_a_common_change_goes_with_its_pack(bench: Bench) -> None:
    """Where `default` is named again its `success` is changed; the `success` of `strict` is another rule."""
    settings = bench.load(
        f"{PLATFORM}[rules.change.success]\nmargin_abs = 0.04\n"
        '[[prompts]]\nmatch = "a"\npacks = ["default", "json-output"]\n'
        '[[prompts]]\nmatch = "b"\npacks = ["strict"]\n'
    )

    assert 0.04 == rule(settings.rules_for("a"), "success").margin_abs
    assert 0.005 == rule(settings.rules_for("b"), "success").margin_abs


def test_where_a_table_names_its_packs_they_say_alpha(bench: Bench) -> None:
    """Unless the configuration says it, for all or for these prompts."""
    pack = 'description = "mine"\nalpha = 0.03\n[rule.x]\nmetric = "cost"\nstatistic = "mean"\nmargin_rel = 0.1\n'
    bench.write(pack, "mine.toml")
    own = '[[prompts]]\nmatch = "a"\npacks = ["mine.toml"]\n'

    assert 0.03 == bench.load(f"{PLATFORM}{own}").rules_for("a").alpha
    assert 0.01 == bench.load(f"{PLATFORM}[rules]\nalpha = 0.01\n{own}").rules_for("a").alpha


def test_the_source_names_the_prompts(bench: Bench) -> None:
    """For messages."""
    settings = bench.load(f'{PLATFORM}[[prompts]]\nmatch = "a-*"\n[prompts.change.cost]\nweight = 3\n')

    assert "default, changed: cost, for a-*" == settings.rules_for("a-b").source


def test_the_configurations_digest_knows_the_overrides(bench: Bench) -> None:
    """Their globs, and what they change."""
    texts = [
        PLATFORM,
        f'{PLATFORM}[[prompts]]\nmatch = "a"\n',
        f'{PLATFORM}[[prompts]]\nmatch = "b"\n',
        f'{PLATFORM}[[prompts]]\nmatch = "b"\nalpha = 0.01\n',
    ]

    assert len(texts) == len({bench.load(text).digest for text in texts})


def test_a_rule_says_which_test_answers_it(bench: Bench) -> None:
    """The sequential engine, where it does not say."""
    settings = bench.load(f'{PLATFORM}[rules.change.success]\nmethod = "fisher"\n')

    assert Method.FISHER is rule(settings.rules, "success").method
    assert Method.SEQUENTIAL is rule(settings.rules, "cost").method


def test_the_method_and_the_threshold_are_in_the_digest(bench: Bench) -> None:
    """Rules that decide otherwise have another digest."""
    changed = bench.load(f'{PLATFORM}[rules.change.success]\nmethod = "fisher"\n').rules.digest
    certified = bench.load(f'{PLATFORM}[rules]\nthreshold = "certified"\n').rules.digest

    assert 3 == len({load_rules().digest, changed, certified})


def test_the_defaults_written_out_have_the_same_digest(bench: Bench) -> None:
    """As before the keys existed."""
    text = f'{PLATFORM}[rules]\nthreshold = "proven"\n[rules.change.success]\nmethod = "sequential"\n'

    assert load_rules().digest == bench.load(text).rules.digest


PACK = 'description = "d"\n{}[rule.{}]\nmetric = "cost"\nstatistic = "mean"\nmargin_rel = 0.1\n'


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("", "", ThresholdMode.PROVEN),
        ('threshold = "certified"\n', "", ThresholdMode.CERTIFIED),
        ('threshold = "certified"\n', 'threshold = "certified"\n', ThresholdMode.CERTIFIED),
        ('threshold = "certified"\n', 'threshold = "proven"\n', ThresholdMode.PROVEN),
    ],
    ids=["silent", "one says it", "both say it", "they differ"],
)
def test_the_more_cautious_threshold_of_the_packs_holds(
    bench: Bench, one: str, other: str, expected: ThresholdMode
) -> None:
    """A pack that says nothing joins the others."""
    bench.write(PACK.format(one, "x"), "one.toml")
    bench.write(PACK.format(other, "y"), "other.toml")

    assert expected is load_rules(("one.toml", "other.toml"), folder=bench.folder).threshold


def test_the_label_of_segments_is_read(bench: Bench) -> None:
    """Empty where it is not set."""
    assert "task" == bench.load(f'{PLATFORM}[watch]\nsegment_by = "task"\n').watch.segment_by
    assert "" == bench.load(PLATFORM).watch.segment_by
