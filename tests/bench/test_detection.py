"""The bench of false reverts and delays: what it screens, what it draws, what it compares with, what it prints."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from scipy import stats

from bench.detection import delays, fast_failures, late_onset, mix, rivals, weekday
from bench.detection.__main__ import WORLDS, main
from bench.detection.false_reverts import at_the_margin, count
from bench.detection.laws import Law, buckets_of, lognormal_latency, token_cost
from bench.detection.oracles import share_ratios, sprt_calls
from bench.detection.screen import column_of, evidence_by_minute, largest_log_e, learned
from bench.detection.trial import SETTINGS, Setting, alpha_of, build, first_trip, reverting_rules, windows
from bench.detection.worlds import CLIMATES, INDEPENDENT, Change, World
from watchdog.core.rules import Metric, Rule, Statistic
from watchdog.core.windows import WINDOW, slot_for, watermark
from watchdog.stats.eprocess import ThresholdMode, skip, start, step
from watchdog.stats.histogram import LogHistogram, bucket_of
from watchdog.stats.reference import token_step

LATENCY, COST = lognormal_latency(), token_cost()
PACK, RULES = reverting_rules()
WHOLE = Rule(name="whole", metric=Metric.LATENCY, statistic=Statistic.DISTRIBUTION)
STRICT = tuple(replace(rule, margin_abs=0.0, margin_rel=0.0) for rule in RULES)
UNCAPPED = Setting(alpha=0.005, mode=ThresholdMode.CERTIFIED, capped=False)


def world(climate: str, rate: float = 0.05, change: Change | None = None) -> World:
    chosen = next(c for c in CLIMATES if climate in c.name)
    return World(climate=chosen, calls_per_s=rate, latency=LATENCY, cost=COST, change=change or Change())


@pytest.mark.parametrize("rule", [*STRICT, WHOLE], ids=lambda rule: rule.name)
@pytest.mark.parametrize("tempered", [False, True], ids=["plain", "tempered"])
def test_the_screen_follows_the_engine_to_the_last_digits(rule: Rule, tempered: bool) -> None:
    """The largest E of the screened cell, for several promotions at once, beside `eprocess.step` minute by minute."""
    columns, evidence, expected = [], [], []
    for i in range(3):
        baseline, calls = world("slow drift").promotion(np.random.default_rng([5, i]), by_minute=True)
        test = build(rule, baseline, 0.005, UNCAPPED)
        if tempered and baseline.by_minute is not None:
            test = build(rule, baseline, 0.005, UNCAPPED, learned(rule, test, baseline.by_minute))
        column = column_of(test)
        columns.append(column)
        evidence.append(evidence_by_minute(rule, column, calls))
        state = start(test.design)
        for window in windows(rule, test, calls):
            state = skip(test.design, state, 1) if window is None else step(test.design, state, window)
        expected.append(state.running_max[column.cell])

    np.testing.assert_allclose(largest_log_e(columns, evidence), expected, rtol=1e-12, atol=1e-12)


def test_screening_changes_no_count() -> None:
    """Four blips a day, where many promotions are reverted: with the screen, and each by the engine alone."""
    blips, setting = world("4 a day"), SETTINGS[2]
    rules = tuple(rule for rule in RULES if rule.metric is Metric.LATENCY)
    alone = 0
    for i in range(12):
        baseline, calls = blips.promotion(np.random.default_rng([3, i]))
        tests = [(rule, build(rule, baseline, alpha_of(PACK, rule, setting), setting)) for rule in rules]
        alone += any(first_trip(rule, test, calls) is not None for rule, test in tests)

    counts = count(blips, PACK, rules, (setting,), promotions=12, seed=3)

    assert alone == counts[setting].any_rule
    assert 0 < alone < 12


def test_a_candidate_at_every_margin_is_as_bad_as_the_default_pack_tolerates() -> None:
    """One point more failures, 20 per cent slower, 15 per cent dearer."""
    assert Change(more_failures=0.01, latency_factor=1.2, cost_factor=1.15) == at_the_margin(RULES)


def test_laws_put_values_into_the_engines_own_buckets() -> None:
    """The vectorised bucket rule beside `bucket_of`, at edges too."""
    values = np.concatenate([LATENCY.values[::997], COST.values[::997], 1.01 ** np.arange(-50.0, 50.0)])

    assert [bucket_of(x) for x in values.tolist()] == buckets_of(values).tolist()


def test_a_day_by_bucket_has_the_laws_share_above_any_value() -> None:
    """A million calls, within five standard errors."""
    drawn = LATENCY.histogram(1_000_000, np.random.default_rng(1))
    limit = LATENCY.values[int(0.95 * LATENCY.values.size)]

    assert 50_000 == pytest.approx(drawn.above(float(limit)), abs=5.0 * math.sqrt(47_500) + 1_500)
    assert drawn.total == 1_000_000


def test_the_oracle_needs_two_calls_for_total_failure() -> None:
    """ln 100 twice is beyond ln 1000."""
    calls = sprt_calls(share_ratios(0.01, 1.0, np.random.default_rng(1)), 0.001, 10)

    assert [2.0] * 10 == calls.tolist()


def test_total_failure_is_found_at_the_third_call() -> None:
    """As the delays are counted: calls, not minutes."""
    found = delays.share_delays(5_000, 1.0, 0.0, 10, 50, 1)

    assert [3.0] * 10 == found.calls.tolist()
    assert found.share == 1.0


def test_a_delay_that_was_not_found_counts_as_the_whole_run() -> None:
    """And the share that was found says so."""
    found = delays.share_delays(5_000, 0.01, 0.0, 4, 60, 1)

    assert [60.0] * 4 == found.calls.tolist()
    assert "found 0 %" in found.beside(10.0)


@pytest.mark.parametrize("case", delays.value_cases(), ids=lambda case: case.name)
def test_a_change_of_values_is_found(case: delays.ValueCase) -> None:
    """Each kind of rule, once, within fifteen times the oracle's calls."""
    oracle = sprt_calls(case.ratios(np.random.default_rng(1)), delays.ALPHA, 50).mean()

    assert delays.value_delays(case, 100_000, 1, int(15 * oracle) + 20, 1).share == 1.0


def test_rival_tests_are_those_of_scipy() -> None:
    """Mann-Whitney's and Welch's scores of a first hour, on the same buckets."""
    rng = np.random.default_rng(2)
    before, after = buckets_of(LATENCY.drawn(2_000, rng)), buckets_of(1.05 * LATENCY.drawn(180, rng))
    index, counts = np.unique(before, return_counts=True)
    u = rivals.ranks_among(index, counts, after).sum()
    score = rivals.u_score(np.array([u]), np.array([180.0]), 2_000)[0]
    expected = stats.mannwhitneyu(after, before, alternative="greater", method="asymptotic", use_continuity=False)

    assert expected.statistic == pytest.approx(u)
    assert expected.pvalue == pytest.approx(stats.norm.sf(score), rel=0.01)


def test_calls_are_judged_where_the_daemon_would_put_them() -> None:
    """By start behind the watermark, late calls in the first open window, call by call."""
    lag, origin = timedelta(seconds=45), datetime(2026, 1, 1, tzinfo=UTC)
    rng = np.random.default_rng(4)
    started = rng.random(300) * 800.0
    ended = started + np.exp(rng.normal(3.0, 1.0, 300))
    looks = int(fast_failures.HORIZON_S / WINDOW.total_seconds())
    expected = []
    for begin, end in zip(started.tolist(), ended.tolist(), strict=True):
        seen = math.ceil(end / WINDOW.total_seconds())
        sealed = max(origin, watermark(origin + (seen - 1) * WINDOW, lag))
        slot = slot_for(origin + timedelta(seconds=begin), sealed)
        judged = next(
            (n for n in range(seen, looks + 1) if watermark(origin + n * WINDOW, lag) >= slot.start + WINDOW), 0
        )
        expected.append(judged - 1)

    assert expected == fast_failures.behind_watermark(started, ended, fast_failures.sealed_windows(lag)).tolist()


def test_the_mix_uses_the_engines_grid_of_input_tokens() -> None:
    """The vectorised grid beside `token_step`."""
    calls = mix.requests(500, 1.6, 1.0, np.random.default_rng(1))
    tokens = np.ceil(700.0 * 1.6 * np.exp(np.random.default_rng(1).normal(0.0, 0.7, 500)))

    assert [token_step(int(t)) for t in tokens.tolist()] == calls.step.tolist()


def test_longer_inputs_are_taken_for_a_regression_only_as_long_as_nobody_looks_at_them() -> None:
    """Raw latency reverts, latency beside that of inputs of the same length does not."""
    rng = np.random.default_rng(1)
    pair = mix.raw_and_normalised(mix.requests(20_000, 1.0, 1.0, rng), mix.requests(6_000, 1.6, 1.0, rng))
    raw, relative = (mix.trips(baseline, candidate, 0.2, 60) for baseline, candidate in pair)

    assert raw is not None
    assert relative is None


def test_a_late_regression_is_counted_from_its_onset() -> None:
    """Total failure after six quiet hours, one call in twenty seconds: a handful of calls, not hundreds."""
    engine = late_onset.Engine(name="", look_s=60)
    mean, lost = late_onset.engine_calls(engine, 0.05, 0.999, 3, 1)

    assert 3.0 <= mean <= 20.0
    assert lost == 0


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, object]]:
    main([*arguments, "--json", "--seed", "1"])
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_the_headline_counts_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    """Four worlds, two rates, four settings, and a target with its upper limit for each setting."""
    (table,) = printed(capsys, "--worlds", "headline", "--promotions", "2")

    assert 4 * 2 * len(SETTINGS) == len(table["rows"])
    assert 2 * len(SETTINGS) == len(table["targets"])
    assert all({"hits": 0, "runs": 2, "upper": pytest.approx(0.7764, abs=1e-4)} == r["reverted"] for r in table["rows"])


@pytest.mark.parametrize("name", ["mix", "fast-failures"])
def test_other_worlds_print_a_table(capsys: pytest.CaptureFixture[str], name: str) -> None:
    """With hardly any runs."""
    (table,) = printed(capsys, "--worlds", name, "--runs", "2")

    assert table["rows"]
    assert {"met"} == {target["verdict"] for target in table["targets"]}


def test_the_same_options_print_the_same_figures(capsys: pytest.CaptureFixture[str]) -> None:
    """Seeded, to the last digit."""
    first, second = (printed(capsys, "--worlds", "fast-failures", "--runs", "2") for _ in range(2))

    assert first == second


def test_a_world_that_is_not_known_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """The message lists those that are."""
    with pytest.raises(SystemExit):
        main(["--worlds", "sunday"])

    listed = capsys.readouterr().err
    assert all(name in listed for name in WORLDS)


def test_windows_without_calls_are_passed_over() -> None:
    """At a call in twenty seconds some minutes are empty, and add nothing."""
    _, calls = world("independent").promotion(np.random.default_rng(1))
    _, rules = reverting_rules()
    baseline, _ = World(climate=INDEPENDENT, calls_per_s=0.05, latency=LATENCY, cost=COST).promotion(
        np.random.default_rng(1)
    )
    test = build(rules[0], baseline, 0.001, SETTINGS[0])
    added = list(windows(rules[0], test, calls))

    assert [n == 0 for n in calls.per_minute.tolist()] == [evidence is None for evidence in added]


def test_a_law_of_one_value_has_one_bucket() -> None:
    """The histogram of a constant."""
    law = Law(np.full(2**16, 5.0))

    assert LogHistogram({bucket_of(5.0): 10}) == law.histogram(10, np.random.default_rng(1))


def test_the_same_hours_a_week_ago_hold_what_every_monday_does() -> None:
    """Promoted on Sunday evening: alone half of the rules are reverted within the day, with the week none."""
    pack, rules = reverting_rules()
    success = tuple(rule for rule in rules if rule.name == "success")
    alphas = {"success": alpha_of(pack, success[0], weekday._SETTING)}
    monday = weekday.CALENDARS[1]
    found = []
    for i in range(24):
        played = weekday.play(weekday.world_of(monday, 0.2), success, alphas, np.random.default_rng([3, i]))
        found.append(played["success"])

    alone = sum(f.alone is not None for f in found)
    assert 0 < alone < 24
    assert 0 == sum(f.with_week is not None for f in found)


def test_a_regression_beyond_what_every_monday_does_is_found_with_the_week_as_well() -> None:
    """Never before the day before alone finds it."""
    pack, rules = reverting_rules()
    success = tuple(rule for rule in rules if rule.name == "success")
    alphas = {"success": alpha_of(pack, success[0], weekday._SETTING)}
    world_of_all_alike = weekday.world_of(weekday.CALENDARS[0], 0.2, Change(more_failures=0.2))
    for i in range(5):
        found = weekday.play(world_of_all_alike, success, alphas, np.random.default_rng([4, i]))["success"]
        assert found.alone is not None
        assert found.with_week is not None
        assert found.alone <= found.with_week < 400
