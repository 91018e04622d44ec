"""What is allowed in rules and hardly meant is said, with what to write instead."""

from __future__ import annotations

import re

import pytest

from tests.config.workbench import PLATFORM, Bench
from watchdog.config.lint import findings
from watchdog.config.strength import assumed_traffic

FLOOR = "[rules.change.success_floor]\n"
RULE = 'description = "mine"\n[rule.mine]\n{}\n'
LATENCY_LIMIT = 'metric = "latency"\nstatistic = "limit"\nlimit_ms = '
COST_LIMIT = 'metric = "cost"\nstatistic = "limit"\nlimit_usd = '


def test_the_built_in_packs_have_nothing_to_be_said_about(bench: Bench) -> None:
    """Neither alone, where they may stand alone, nor together."""
    for packs in ('"default"', '"strict"', '"default", "cost-guard", "json-output", "latency-guard"'):
        assert () == findings(bench.load(f"{PLATFORM}[rules]\npacks = [{packs}]\n"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            f"{FLOOR}limit_share = 0.95\n",
            (
                "rule success_floor: limit_share = 0.95 tolerates 95 % of bad calls; if it was meant as a share of "
                "good ones, write 0.05"
            ),
        ),
        (
            "[rules.change.latency_p95]\nmargin_rel = 5\n",
            "rule latency_p95: margin_rel = 5 tolerates a rise by 500 %; if per cent were meant, write 0.05",
        ),
        (
            "[rules.change.success]\nmargin_abs = 0.6\n",
            "rule success: margin_abs = 0.6 tolerates a rise by 60 percentage points; one point is 0.01",
        ),
        (
            "[rules.change.cost]\nmargin_rel = 0\n",
            "rule cost has no margin: two hours are never quite alike, and it will find that out",
        ),
        (
            '[watch]\nlength = "1m"\n[rules.change.cost]\nmin_calls = 100_000\n',
            "rule cost can never trip: no watch of 1m has min_calls = 100,000 calls",
        ),
        (
            '[[prompts]]\nmatch = "*"\n[[prompts]]\nmatch = "support-*"\n',
            '[[prompts]] "support-*" never counts: "*" stands before it and matches the same prompts',
        ),
        (
            '[watch]\nexclude = ["test-*"]\n[[prompts]]\nmatch = "test-a"\n',
            '[[prompts]] "test-a" never counts: watch.exclude takes these prompts away',
        ),
        (
            '[[prompts]]\nmatch = "a"\n[prompts.change.success]\nmargin_abs = 0.6\n',
            'for "a": rule success: margin_abs = 0.6 tolerates a rise by 60 percentage points; one point is 0.01',
        ),
    ],
)
def test_a_unit_or_a_direction_that_is_hardly_meant_is_a_finding(bench: Bench, text: str, expected: str) -> None:
    """One sentence, and the only one."""
    assert (expected,) == findings(bench.load(PLATFORM + text))


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (f"{LATENCY_LIMIT}5", "rule mine: limit_ms = 5 is 5 milliseconds; if seconds were meant, write 5000"),
        (f"{COST_LIMIT}50", "rule mine: limit_usd = 50 is $50 for one call, not for a day or for 1,000 calls"),
    ],
)
def test_a_limit_in_another_unit_is_a_finding(bench: Bench, rule: str, expected: str) -> None:
    """Seconds for milliseconds, a day for a call."""
    bench.write(RULE.format(f'{rule}\naction = "revert"'), "mine.toml")

    assert (expected,) == findings(bench.load(f'{PLATFORM}[rules]\npacks = ["mine.toml"]\n'))


@pytest.mark.parametrize(
    "text",
    [
        f"{FLOOR}limit_share = 0.5\n",
        "[rules.change.latency_p95]\nmargin_rel = 3\n",
        "[rules.change.success]\nmargin_abs = 0.5\n",
    ],
)
def test_what_is_just_usual_is_no_finding(bench: Bench, text: str) -> None:
    """The bounds themselves."""
    assert () == findings(bench.load(PLATFORM + text))


def test_a_threshold_that_changes_nothing_is_a_finding(bench: Bench) -> None:
    """No simulation backs it for means and limits."""
    bench.write(RULE.format(f'{COST_LIMIT}0.5\naction = "revert"'), "mine.toml")
    found = findings(bench.load(f'{PLATFORM}[rules]\npacks = ["mine.toml"]\nthreshold = "certified"\n'))

    assert ('threshold = "certified" changes nothing: no rule here has a certified threshold',) == found


def at(bench: Bench, text: str, *, rate: float, baseline_calls: int) -> tuple[str, ...]:
    settings = bench.load(PLATFORM + text)
    return findings(settings, (assumed_traffic(settings.rules, rate_per_s=rate, baseline_calls=baseline_calls),))


def test_at_good_traffic_the_default_rules_are_fit(bench: Bench) -> None:
    """Nothing to warn of."""
    assert () == at(bench, "", rate=1.0, baseline_calls=86_400)


def test_a_margin_inside_the_noise_is_a_finding(bench: Bench) -> None:
    """The rule would need many times that to be seen."""
    found = at(bench, "", rate=0.002, baseline_calls=173)

    assert re.fullmatch(
        r"at 0\.002 calls/s: rule success sees nothing smaller than -1\d pp in a whole watch: its margin of 1 pp lies "
        r"far inside the noise",
        found[0],
    )


def test_a_rule_that_is_silent_at_this_baseline_is_a_finding(bench: Bench) -> None:
    """With the number of calls that it needs."""
    found = at(bench, "", rate=0.002, baseline_calls=173)

    assert any(
        text.startswith(
            "at 0.002 calls/s: rule latency_p95 is silent: baseline of 173 calls cannot bound p95; at least"
        )
        for text in found
    )


def test_a_rule_that_waits_for_more_calls_than_come_is_a_finding(bench: Bench) -> None:
    """It can never trip."""
    found = at(bench, "[rules.change.cost]\nmin_calls = 9000\n", rate=0.1, baseline_calls=8640)

    assert "at 0.1 calls/s: rule cost can never trip: a watch has 8,640 calls, and min_calls = 9,000" in found


def test_a_rule_that_even_the_worst_cannot_trip_is_a_finding(bench: Bench) -> None:
    """Ten calls a watch are not enough for total failure against a limit of a half."""
    found = at(bench, "", rate=0.0001, baseline_calls=1000)

    assert (
        "at 0.0001 calls/s: rule success_floor can never trip: even the worst takes more calls than a watch has; give "
        "it more weight or a longer watch"
    ) in found
