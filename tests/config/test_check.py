"""The report of a configuration says in plain sentences what it amounts to."""

from __future__ import annotations

import pytest

from tests.config.workbench import PLATFORM, Bench
from watchdog.config.check import check, lines, rule_sentence
from watchdog.core.model import ErrorKind
from watchdog.core.rules import Action, Metric, Rule, Statistic
from watchdog.errors import ConfigError

SLACK = '[slack]\ntoken = "env:PROMPTHELM_TOKEN"\nchannel = "C0123456789"\n'


def rule(metric: Metric, statistic: Statistic, **fields: object) -> Rule:
    return Rule(name="r", metric=metric, statistic=statistic, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            rule(Metric.SUCCESS, Statistic.PROPORTION, margin_abs=0.01),
            "reverts when the failure rate rises by more than 1 pp over the baseline",
        ),
        (
            rule(Metric.SUCCESS, Statistic.PROPORTION, margin_abs=0.005, margin_rel=0.5, min_calls=1000),
            (
                "reverts when the failure rate rises by more than 0.5 pp or 50 % of itself, whichever is more, over "
                "the baseline, after 1,000 calls"
            ),
        ),
        (
            rule(Metric.ERROR_KIND, Statistic.PROPORTION, error_kind=ErrorKind.TIMEOUT, margin_rel=1.0),
            (
                "reverts when the share of calls that fail with `timeout` rises by more than 100 % of itself over the "
                "baseline"
            ),
        ),
        (
            rule(Metric.SUCCESS, Statistic.LIMIT, limit_share=0.5),
            "reverts when the failure rate is above 50 %, with or without a baseline",
        ),
        (
            rule(Metric.LATENCY, Statistic.QUANTILE, quantile=0.999, margin_rel=0.2),
            "reverts when p99.9 latency rises by more than 20 % over the baseline",
        ),
        (
            rule(Metric.LATENCY, Statistic.DISTRIBUTION, margin_rel=0.2, action=Action.ALERT),
            "alerts when any part of the calls, the median too, gets more than 20 % slower than the baseline",
        ),
        (
            rule(Metric.COST, Statistic.DISTRIBUTION, margin_rel=0.2),
            "reverts when any part of the calls, the median too, gets more than 20 % dearer than the baseline",
        ),
        (
            rule(Metric.COST, Statistic.MEAN, margin_rel=0.15, action=Action.SUGGEST),
            "suggests a revert when the mean cost of a call rises by more than 15 % over the baseline",
        ),
        (
            rule(Metric.LATENCY, Statistic.LIMIT, quantile=0.95, limit_value=60_000.0),
            "reverts when more than 5 % of the calls take longer than 60,000 ms, with or without a baseline",
        ),
        (
            rule(Metric.COST, Statistic.LIMIT, limit_value=0.5),
            "reverts when the mean cost of a call is above $0.5, with or without a baseline",
        ),
        (
            rule(Metric.FEEDBACK, Statistic.PROPORTION, margin_abs=0.05, min_calls=20, action=Action.ALERT),
            (
                "alerts when the share of bad feedback rises by more than 5 pp over the baseline, after 20 pieces of "
                "feedback"
            ),
        ),
    ],
)
def test_a_rule_is_one_sentence(given: Rule, expected: str) -> None:
    """What trips it and what follows, with its numbers."""
    assert expected == rule_sentence(given, Action.REVERT)


def test_the_sentence_says_what_the_configuration_allows() -> None:
    """A rule that would revert only alerts where act says so."""
    given = rule(Metric.SUCCESS, Statistic.PROPORTION, margin_abs=0.01)

    assert "alerts when the failure rate rises by more than 1 pp over the baseline" == rule_sentence(
        given, Action.ALERT
    )


def test_the_report_reads_as_a_whole(bench: Bench) -> None:
    """Somebody who sees the watchdog for the first time learns what it will do."""
    settings = bench.load(
        f'{PLATFORM}[watch]\nexclude = ["test-*"]\nbaseline = "7d"\n{SLACK}[rules]\npacks = ["cost-guard"]'
    )
    report = lines(check(settings, bench.env))

    assert (
        f"{bench.config} is valid.",
        'Watches "*", without "test-*" on https://api.prompthelm.app, environment production.',
        "A promotion is watched for 24h and compared with the 7d before it.",
        "After a revert the numbers have 30m to come back.",
        "The watchdog may revert by itself.",
        "Notices go to the Slack channel C0123456789.",
        "",
        "Rule packs:",
        "  cost-guard  Beside default, where the bill matters: 5 % of the mean cost, and the dearest calls.",
        "",
        "Rules (at most 0.5 % of harmless promotions trip any of them; its share in brackets):",
        "  cost_guard_mean:    reverts when the mean cost of a call rises by more than 5 % over the baseline (0.3 %)",
        "  cost_guard_p95:     reverts when the p95 cost of a call rises by more than 50 % over the baseline (0.15 %)",
        "  cost_guard_ceiling: alerts when the mean cost of a call is above $0.5, with or without a baseline (0.05 %)",
        f"  digest {settings.rules.digest[:12]}",
        "",
        "Secrets:",
        "  platform.token = env:PROMPTHELM_TOKEN: 36 characters",
        "  slack.token = env:PROMPTHELM_TOKEN: 36 characters",
    ) == report


def test_the_budget_is_shared_out_by_weight(bench: Bench) -> None:
    """The shares add up to alpha, and no rule gets more than its weight."""
    report = check(bench.load(PLATFORM), bench.env)

    assert 0.005 == pytest.approx(sum(line.alpha for line in report.rules))
    assert 0.002 == pytest.approx(next(line.alpha for line in report.rules if line.name == "success"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (SLACK, []),
        ("", ["there is no [slack]: notices go to the terminal, where nobody may look"]),
        (SLACK + '[watch]\nact = "alert"\n', ['watch.act = "alert": nothing is ever reverted by itself']),
        (
            SLACK + '[watch]\nprompts = ["a", "b"]\nexclude = ["b"]\n',
            ['watch.exclude takes away all that "b" in watch.prompts names'],
        ),
        (
            SLACK + "[rules.change.success]\nmargin_abs = 0.99\n",
            ["rule success can never trip: it tolerates 99 % of bad calls"],
        ),
        (
            SLACK + "[rules.change.cost]\nweight = 1e-9\n",
            ["rule cost can hardly ever trip: its weight leaves it 6e-12 of alpha"],
        ),
        (
            SLACK + '[rules.change.latency_distribution]\naction = "suggest"\n',
            [
                (
                    "rule latency_distribution suggests, latency_p95 would revert: where latency_distribution trips "
                    'first, the promotion waits for a person; make it "alert" or "revert"'
                )
            ],
        ),
        (
            SLACK + '[rules]\npacks = ["mine.toml"]\n',
            [
                'no rule has action = "revert": nothing is ever reverted by itself',
                'no rule has statistic = "limit": a prompt without a baseline is not protected at all',
            ],
        ),
        (
            '[slack]\nwebhook = "env:HOOK"\n',
            ["slack.webhook cannot update or thread a message; token and channel can"],
        ),
    ],
)
def test_what_is_allowed_and_hardly_meant_is_a_warning(bench: Bench, text: str, expected: list[str]) -> None:
    """Nothing stops the daemon, and nobody is left to wonder why nothing happens."""
    bench.env["HOOK"] = "https://hooks.slack.com/services/T0/B0/x"
    bench.write(
        'description = "mine"\n[rule.m]\nmetric = "cost"\nstatistic = "mean"\nmargin_rel = 0.1\naction = "alert"\n',
        "mine.toml",
    )

    assert expected == list(check(bench.load(PLATFORM + text), bench.env).warnings)


def test_a_secret_that_is_gone_by_now_is_an_error(bench: Bench) -> None:
    """The report never says of a secret that it is there when it is not."""
    settings = bench.load(PLATFORM)

    with pytest.raises(ConfigError, match="PROMPTHELM_TOKEN` is not set"):
        check(settings, {})
