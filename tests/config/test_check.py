"""The report of a configuration says in plain sentences what it amounts to."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from tests.config.workbench import PLATFORM, Bench
from watchdog.config.check import check, rule_sentence
from watchdog.config.report_text import lines
from watchdog.config.strength import assumed_traffic
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
            "reverts when the failure rate is above 50 % and the baseline's, where there is one, is not",
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
            (
                "reverts when more than 5 % of the calls take longer than 60,000 ms, and not of the baseline's, where "
                "there is one"
            ),
        ),
        (
            rule(Metric.COST, Statistic.LIMIT, limit_value=0.5),
            "reverts when the mean cost of a call is above $0.5 and the baseline's, where there is one, is not",
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
    strength = report[report.index("Secrets:") - 6 : report.index("Secrets:") - 1]

    assert (
        f"{bench.config} is valid.",
        'Watches "*", without "test-*" on https://api.prompthelm.app, environment production.',
        "A promotion is watched for 24h and compared with the 7d before it.",
        "After a revert the numbers have 30m to come back.",
        "The watchdog may revert by itself.",
        (
            "At most 3 automatic reverts in an hour and 10 in a day; of one prompt the next after 6h, twice that after "
            "the second, and so on."
        ),
        "Notices go to the Slack channel C0123456789.",
        "Health and metrics are on http://127.0.0.1:9464, for this machine.",
        "",
        "Rule packs:",
        "  cost-guard  Beside default, where the bill matters: 5 % of the mean cost, and the dearest calls.",
        "",
        "Rules (at most 0.5 % of harmless promotions trip any of them; its share in brackets):",
        "  cost_guard_mean:    reverts when the mean cost of a call rises by more than 5 % over the baseline (0.3 %)",
        "  cost_guard_p95:     reverts when the p95 cost of a call rises by more than 50 % over the baseline (0.15 %)",
        (
            "  cost_guard_ceiling: alerts when the mean cost of a call is above $0.5 and the baseline's, where there "
            "is one, is not (0.05 %)"
        ),
        f"  digest {settings.rules.digest[:12]}",
        "",
        *strength,
        "",
        "Secrets:",
        "  platform.token = env:PROMPTHELM_TOKEN: 36 characters",
        "  slack.token = env:PROMPTHELM_TOKEN: 36 characters",
    ) == report


def test_whom_the_watchdog_asks_is_said(bench: Bench) -> None:
    """And nothing is said where nobody is asked."""
    pages = '[status]\nopenai = "https://a.example"\nanthropic = "https://b.example"\n'
    said = "When production got worse, the status of openai, anthropic is looked at."

    assert said in lines(check(bench.load(PLATFORM + pages), bench.env))
    assert "status of" not in "\n".join(lines(check(bench.load(PLATFORM), bench.env)))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("payloads = true", "redacted; notices hold counts and shapes only."),
        (
            'payloads = true\nslack = true\nredact = ["a"]',
            "redacted, with 1 pattern of your own; redacted examples go out with the notice.",
        ),
    ],
)
def test_whose_words_are_kept_is_said(bench: Bench, text: str, told: str) -> None:
    """Nobody finds bodies in a database without having been told."""
    report = lines(check(bench.load(f"{PLATFORM}{SLACK}[evidence]\ncalls = 5\n{text}"), bench.env))

    assert f"Up to 5 failing calls of a bad version are read and kept, {told}" in report


def test_the_strength_at_typical_rates_is_a_table(bench: Bench) -> None:
    """Where nothing is known of the traffic; what is assumed stands above it."""
    report = lines(check(bench.load(f'{PLATFORM}[rules]\npacks = ["cost-guard"]'), bench.env))
    (first,) = [n for n, line in enumerate(report) if line.startswith("Strength")]
    head, *rows = report[first + 1 : first + 5]

    assert "`--rate` says more (assumed: success 99 %, 0.5 % for one kind of error" in report[first]
    assert ["rule", "to see", "0.01/s", "0.1/s", "1/s"] == re.split(" {2,}", head.strip())
    assert ["cost x1.5", "cost x2", "mean cost at $1.00"] == [re.split(" {2,}", row.strip())[1] for row in rows]
    assert all(re.search(r"  \d+ calls, [\dhmins ]+$", row) for row in rows)


def test_the_strength_at_a_known_rate_is_a_sentence_a_rule(bench: Bench) -> None:
    """How many calls, how long, for what; and what it can see at all."""
    settings = bench.load(PLATFORM)
    traffic = assumed_traffic(settings.rules, rate_per_s=0.4, baseline_calls=34_560)
    report = lines(check(settings, bench.env, (traffic,)))

    (head,) = [line for line in report if line.startswith("Strength")]
    assert head.startswith("Strength of the rules at 0.4 calls/s, baseline of 34,560 calls (assumed: success 99 %,")
    (success,) = [line for line in report if "needs about" in line and "  success: " in line]
    assert re.fullmatch(
        r"  success: +needs about 3\d0 calls, 1\d min, to see -5 pp \(failures 1 % -> 6 %\); a whole watch shows "
        r"-1\.\d pp at the least",
        success,
    )


def test_the_strength_of_a_prompt_rests_on_its_own_baseline(bench: Bench) -> None:
    """Nothing is assumed, and its own rules count."""
    settings = bench.load(f'{PLATFORM}[[prompts]]\nmatch = "a"\npacks = ["cost-guard"]\n')
    seen = assumed_traffic(settings.rules, rate_per_s=0.5, baseline_calls=20_000)
    report = check(settings, bench.env, (replace(seen, prompt="a"),))

    assert "" == report.assumed
    assert ["cost_guard_mean", "cost_guard_p95", "cost_guard_ceiling"] == [
        forecast.rule for forecast in report.strength[0].forecasts
    ]
    assert "Strength of the rules for a at 0.5 calls/s, baseline of 20,000 calls:" in lines(report)


def test_rules_for_some_prompts_are_said_as_far_as_they_differ(bench: Bench) -> None:
    """What is added or changed, and what is missing."""
    settings = bench.load(
        f'{PLATFORM}[[prompts]]\nmatch = "a"\nalpha = 0.01\nthreshold = "certified"\n'
        '[prompts.change.success]\nmargin_abs = 0.02\nmethod = "fisher"\n'
        '[[prompts]]\nmatch = "b"\npacks = ["cost-guard"]\n[[prompts]]\nmatch = "c"\n'
    )
    report = lines(check(settings, bench.env))
    digests = [override.rules.digest[:12] for override in settings.overrides]

    first = report.index(f'For prompts "a" (alpha 1 %, threshold certified, digest {digests[0]}):')
    assert (
        "  success: reverts when the failure rate rises by more than 2 pp over the baseline, by Fisher's exact test "
        "(0.4 %)"
    ) == report[first + 2]
    assert f'For prompts "b" (digest {digests[1]}):' in report
    assert "  without success, success_floor, latency_p95, latency_distribution, cost, feedback" in report
    third = report.index(f'For prompts "c" (digest {digests[2]}):')
    assert ("  from default", "  the same rules") == report[third + 1 : third + 3]


def test_rules_for_some_prompts_are_said_with_their_packs(bench: Bench) -> None:
    """And common rules that have to share alpha with more of them."""
    settings = bench.load(
        f'{PLATFORM}[[prompts]]\nmatch = "a"\npacks = ["default", "json-output"]\n'
        "[prompts.change.success]\nmargin_abs = 0.02\n"
    )
    report = lines(check(settings, bench.env))
    own = settings.rules_for("a")
    cost = next(rule for rule in own.rules if rule.name == "cost")

    assert "  from default + json-output, changed: success" in report
    (shares,) = [line for line in report if line.startswith("  as above, with another share: success_floor (")]
    assert f"cost ({100.0 * own.alpha_of(cost):.4g} %)" in shares
    assert "success (" not in shares.replace("success_floor", "")


def test_a_certified_threshold_is_said(bench: Bench) -> None:
    """Where the promise is."""
    report = lines(check(bench.load(f'{PLATFORM}[rules]\nthreshold = "certified"\n'), bench.env))

    assert any("trip any of them, certified by simulation; its share" in line for line in report)


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
                'no rule has action = "revert" or "countdown": nothing is ever reverted by itself',
                'no rule has statistic = "limit": a prompt without a baseline is not protected at all',
            ],
        ),
        (
            SLACK + "[evidence]\nslack = true\n",
            ["[evidence] does nothing without payloads = true: no body is read"],
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
