"""Whatever else is wrong with a file, each issue is in the first report: nobody mends a file line by line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.config.workbench import PLATFORM, Bench
from watchdog.config.packs import load_rules
from watchdog.errors import ConfigError

if TYPE_CHECKING:
    from watchdog.errors import ConfigIssue

HEAD = 'description = "mine"\n'
# No quantile is given, and none is misspelt.
WITHOUT_QUANTILE = '[rule.slow]\nmetric = "latency"\nstatistic = "quantile"\nmargin_rel = 0.2\n'


def keys(issues: tuple[ConfigIssue, ...]) -> list[str]:
    return [issue.key for issue in issues]


def pack_keys(bench: Bench, pack: str) -> list[str]:
    bench.write(pack, "mine.toml")
    with pytest.raises(ConfigError) as caught:
        load_rules(("mine.toml",), folder=bench.folder)
    return keys(caught.value.issues)


def test_the_same_match_twice_does_not_hide_what_the_second_table_says(bench: Bench) -> None:
    """Its changes are looked at as well."""
    table = '[[prompts]]\nmatch = "a"\n'
    found = bench.issues(f'{PLATFORM}{table}{table}[prompts.change.sucess]\nmethod = "welch"\n')

    assert ["prompts[1].match", "prompts[1].change.sucess", "prompts[1].change.sucess.method"] == keys(found)


def test_a_misspelt_rule_does_not_hide_what_would_not_fit_it(bench: Bench) -> None:
    """The method would be refused as soon as the name is mended."""
    found = bench.issues(f'{PLATFORM}[rules.change.sucess]\nmethod = "welch"\nmargin_abs = 0.02\n')

    assert ["rules.change.sucess", "rules.change.sucess.method"] == keys(found)
    assert "`welch` cannot answer the statistic `proportion`; must be one of `sequential`, `fisher`" == found[1].message


def test_a_table_for_some_prompts_with_an_issue_still_shows_the_others(bench: Bench) -> None:
    """A wrong alpha hides neither its packs nor its changes."""
    found = bench.issues(
        f'{PLATFORM}[[prompts]]\nmatch = "a"\nalpha = 2\npacks = ["default", "jsn-output"]\n'
        '[prompts.change.success]\nmargin_abs = 3\nmethod = "ks"\n'
    )

    assert [
        "prompts[0].alpha",
        "prompts[0].packs[1]",
        "prompts[0].change.success.margin_abs",
        "prompts[0].change.success.method",
    ] == keys(found)


def test_a_match_that_is_missing_twice_is_not_the_same_match(bench: Bench) -> None:
    """Each is missing, and no more."""
    table = "[[prompts]]\nalpha = 0.01\n"

    assert ["prompts[0].match", "prompts[1].match"] == keys(bench.issues(PLATFORM + table + table))


def test_an_issue_of_one_rule_does_not_hide_what_another_lacks(bench: Bench) -> None:
    """A pack with any issue is looked at to its end."""
    assert ["rule.fails.margin_abs", "rule.slow.quantile"] == pack_keys(
        bench,
        f'{HEAD}[rule.fails]\nmetric = "success"\nstatistic = "proportion"\nmargin_abs = 5\n{WITHOUT_QUANTILE}',
    )


def test_an_issue_of_the_pack_does_not_hide_what_a_rule_lacks(bench: Bench) -> None:
    """Here its description is missing."""
    assert ["description", "rule.slow.quantile"] == pack_keys(bench, WITHOUT_QUANTILE)


def test_an_issue_of_a_rule_does_not_hide_what_it_lacks(bench: Bench) -> None:
    """The quantile is missing whatever the weight is."""
    assert ["rule.slow.quantile", "rule.slow.weight"] == pack_keys(bench, f"{HEAD}{WITHOUT_QUANTILE}weight = 0\n")


@pytest.mark.parametrize("line", ["quantile = 95\n", "quantil = 0.95\n"], ids=["wrong", "misspelt"])
def test_a_key_with_an_issue_is_not_missing_too(bench: Bench, line: str) -> None:
    """One mistake is one issue."""
    assert 1 == len(pack_keys(bench, f"{HEAD}{WITHOUT_QUANTILE}{line}"))


def test_a_wrong_margin_is_not_taken_for_none(bench: Bench) -> None:
    """Either margin will do for a share."""
    rule = '[rule.fails]\nmetric = "success"\nstatistic = "proportion"\nmargin_rel = 50\n'

    assert ["rule.fails.margin_rel"] == pack_keys(bench, HEAD + rule)


def test_a_pack_with_an_issue_does_not_hide_a_change_that_does_not_fit(bench: Bench) -> None:
    """The rules of the other packs are known, and the names of its own."""
    bench.write(f"{HEAD}{WITHOUT_QUANTILE}weight = 0\n", "mine.toml")
    found = bench.issues(
        f'{PLATFORM}[rules]\npacks = ["default", "mine.toml"]\n[rules.change.slow]\nweight = 2\n'
        '[rules.change.cost]\nmethod = "ks"\n[rules.change.nothing]\nweight = 2\n'
    )

    assert ["rules.change.cost.method", "rules.change.nothing", "rule.slow.quantile", "rule.slow.weight"] == keys(found)


def test_a_pack_that_cannot_be_read_may_have_the_rule(bench: Bench) -> None:
    """Whether a change names a rule of it cannot be told; what does not fit another pack's can."""
    found = bench.issues(
        f'{PLATFORM}[rules]\npacks = ["default", "gone.toml"]\n[rules.change.slow]\nweight = 2\n'
        '[rules.change.cost]\nmethod = "ks"\n'
    )

    assert ["rules.packs[1]", "rules.change.cost.method"] == keys(found)


def test_the_issues_of_packs_alone_come_in_the_order_of_the_lines(bench: Bench) -> None:
    """As those of a configuration do: `--rules` of replay and backtest."""
    assert ["alpha", "rule.slow.quantile", "rule.slow.weight", "rule.slow.action"] == pack_keys(
        bench, f'{HEAD}alpha = 2\n{WITHOUT_QUANTILE}weight = 0\naction = "rvert"\n'
    )
