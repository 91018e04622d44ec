"""Rule packs are found, checked and put together."""

from __future__ import annotations

import importlib.resources
from pathlib import Path

import pytest

from tests.config.workbench import PLATFORM, Bench
from watchdog.config.packs import builtin_folder, builtin_packs, load_rules, rule_set
from watchdog.core.model import ErrorKind
from watchdog.core.panel import assemble
from watchdog.core.rules import Action, Metric, Rule, Severity, Statistic
from watchdog.errors import ConfigError

RULES = Path(__file__).parents[2] / "rules"
PACKS = sorted(path.stem for path in RULES.glob("*.toml"))
BESIDE_DEFAULT = ("json-output", "latency-guard", "cost-guard")
HEAD = 'description = "mine"\n'
SUCCESS = HEAD + '[rule.mine]\nmetric = "success"\nstatistic = "proportion"\n'
LATENCY = HEAD + '[rule.mine]\nmetric = "latency"\nstatistic = "quantile"\n'


@pytest.mark.parametrize("name", PACKS)
def test_every_built_in_pack_is_valid(name: str) -> None:
    """Each file in rules/ loads, and keeps the promise of half a per cent of false alarms."""
    rules = load_rules((name,))

    assert (name, 0.005) == (rules.source, rules.alpha)


@pytest.mark.parametrize("name", PACKS)
def test_the_weights_of_a_built_in_pack_add_up(name: str) -> None:
    """A reader can take a weight for the share that it is."""
    assert 1.0 == pytest.approx(sum(rule.weight for rule in load_rules((name,)).rules))


@pytest.mark.parametrize("name", PACKS)
def test_every_rule_of_a_built_in_pack_can_take_its_seat(name: str) -> None:
    """The judge has a test for each rule that needs no baseline, and none is refused for its numbers."""
    panel = assemble(load_rules((name,)), None, n_windows=8640, min_baseline_calls=50)

    assert all((seat.test is None) == seat.rule.needs_baseline for seat in panel.seats)


def test_no_rule_of_a_built_in_pack_suggests() -> None:
    """A suggestion ends the judging: a quick one would keep a slower rule from reverting."""
    found = [rule.name for name in PACKS for rule in load_rules((name,)).rules if rule.action is Action.SUGGEST]

    assert [] == found


@pytest.mark.parametrize("main", ["default", "strict"])
def test_the_guards_stand_beside_the_main_pack(main: str) -> None:
    """No rule of theirs has a name that is taken."""
    rules = load_rules((main, *BESIDE_DEFAULT))

    assert 17 == len(rules.rules)


def test_a_rule_means_what_its_table_says(bench: Bench) -> None:
    """Every key arrives in its field, a limit in milliseconds as the limit; who does not say what follows observes."""
    bench.write(
        HEAD + "alpha = 0.02\n"
        '[rule.a]\nmetric = "latency"\nstatistic = "limit"\nquantile = 0.9\nlimit_ms = 1500\nweight = 2\n'
        'min_calls = 30\naction = "suggest"\nseverity = "info"\n'
        '[rule.b]\nmetric = "error_kind"\nerror_kind = "timeout"\nstatistic = "proportion"\nmargin_rel = 0.5\n'
        '[rule.c]\nmetric = "cost"\nstatistic = "limit"\nlimit_usd = 0.25\n',
        "mine.toml",
    )

    rules = load_rules(("mine.toml",), folder=bench.folder)

    assert 0.02 == rules.alpha
    assert (
        Rule(
            name="a",
            metric=Metric.LATENCY,
            statistic=Statistic.LIMIT,
            quantile=0.9,
            limit_value=1500.0,
            weight=2.0,
            min_calls=30,
            action=Action.SUGGEST,
            severity=Severity.INFO,
        ),
        Rule(
            name="b",
            metric=Metric.ERROR_KIND,
            error_kind=ErrorKind.TIMEOUT,
            statistic=Statistic.PROPORTION,
            margin_rel=0.5,
            action=Action.ALERT,
        ),
        Rule(name="c", metric=Metric.COST, statistic=Statistic.LIMIT, limit_value=0.25, action=Action.ALERT),
    ) == rules.rules


@pytest.mark.parametrize(
    ("pack", "line", "key", "message"),
    [
        (
            HEAD + '[rule.mine]\nmetric = "success"\nstatistic = "mean"\n',
            4,
            "rule.mine.statistic",
            "`mean` does not fit the metric `success`; must be one of `proportion`, `limit`",
        ),
        (
            HEAD + '[rule.mine]\nmetric = "error_kind"\nstatistic = "proportion"\nmargin_abs = 0.01\n',
            2,
            "rule.mine.error_kind",
            (
                "is missing; the metric `error_kind` needs it; must be one of `server_error`, `timeout`, `rate_limit`, "
                "`validation`, `truncated`, `unparsable`, `client_error`, `other`"
            ),
        ),
        (
            SUCCESS + 'margin_abs = 0.01\nerror_kind = "timeout"\n',
            6,
            "rule.mine.error_kind",
            'means nothing with the metric `success`; remove it, or set metric = "error_kind"',
        ),
        (
            SUCCESS,
            2,
            "rule.mine.margin_abs",
            (
                "is missing; how much worse than the baseline is tolerated, such as 0.01 for one percentage point (or "
                "`margin_rel`, a ratio; with both, the larger counts)"
            ),
        ),
        (
            SUCCESS + "margin_abs = 1\n",
            5,
            "rule.mine.margin_abs",
            "got the whole number 1; must be a share, where 0.01 is one percentage point, at least 0 and below 1",
        ),
        (
            LATENCY + "quantile = 0.95\nmargin_rel = 20\n",
            6,
            "rule.mine.margin_rel",
            (
                "got the whole number 20; must be a ratio, where 0.2 is 20 per cent of the baseline, at least 0 and at "
                "most 10"
            ),
        ),
        (
            LATENCY + "quantile = 95\nmargin_rel = 0.2\n",
            5,
            "rule.mine.quantile",
            "got the whole number 95; must be a fraction, where 0.95 is p95, at least 0.01 and below 1",
        ),
        (
            LATENCY + "margin_rel = 0.2\n",
            2,
            "rule.mine.quantile",
            "is missing; the statistic `quantile` needs it, such as 0.95 for p95",
        ),
        (
            LATENCY + "quantile = 0.95\nmargin_rel = 0.2\nmargin_abs = 0.1\n",
            7,
            "rule.mine.margin_abs",
            "is for shares of calls; `latency` takes `margin_rel`, such as 0.2 for 20 per cent",
        ),
        (
            SUCCESS + "margin_abs = 0.01\nlimit_share = 0.5\n",
            6,
            "rule.mine.limit_share",
            'means nothing with the statistic `proportion` of `success`; remove it, or set statistic = "limit"',
        ),
        (
            HEAD + '[rule.mine]\nmetric = "success"\nstatistic = "limit"\n',
            2,
            "rule.mine.limit_share",
            "is missing; the statistic `limit` of `success` needs it",
        ),
        (
            HEAD + '[rule.mine]\nmetric = "cost"\nstatistic = "limit"\nlimit_usd = 1\nlimit_ms = 5\n',
            6,
            "rule.mine.limit_ms",
            "means nothing with the statistic `limit` of `cost`; write `limit_usd`",
        ),
        (
            HEAD + '[rule.mine]\nmetric = "cost"\nstatistic = "limit"\nlimit_usd = 1\nmargin_rel = 0.1\n',
            6,
            "rule.mine.margin_rel",
            "means nothing with the statistic `limit`, which compares with its number alone; remove it",
        ),
        (
            HEAD + '[rule.mine]\nmetric = "cost"\nstatistic = "distribution"\nquantile = 0.5\nmargin_rel = 0.1\n',
            5,
            "rule.mine.quantile",
            "means nothing with the statistic `distribution` of `cost`; remove it",
        ),
        (
            HEAD + '[rule.mine]\nmetric = "speed"\nstatistic = "mean"\n',
            3,
            "rule.mine.metric",
            'got "speed"; must be one of `success`, `error_kind`, `latency`, `cost`, `feedback`',
        ),
        (
            HEAD + '[rule."My Rule"]\nmetric = "cost"\nstatistic = "mean"\nmargin_rel = 0.1\n',
            2,
            "rule.`My Rule`",
            "`My Rule` must be a rule's name: small letters, digits and _, at most 40, a letter first",
        ),
        (HEAD + "rule = {}\n", 2, "rule", "holds no rule; a rule is a table such as `[rule.success]`"),
        (
            '[rule.mine]\nmetric = "cost"\nstatistic = "mean"\nmargin_rel = 0.1\n',
            0,
            "description",
            "is missing; must be one line that says what the pack is for",
        ),
    ],
)
def test_a_mistake_in_a_pack_is_explained_at_its_place(
    bench: Bench, pack: str, line: int, key: str, message: str
) -> None:
    """The issue names the pack's file and line, not the configuration's."""
    bench.write(pack, "mine.toml")
    issue = bench.issue(f'{PLATFORM}[rules]\npacks = ["mine.toml"]\n')

    assert ("mine.toml", line, key, message) == (issue.file, issue.line, issue.key, issue.message)


def test_the_same_rule_in_two_packs_names_both_places(bench: Bench) -> None:
    """Neither silently wins over the other."""
    bench.write(SUCCESS + "margin_abs = 0.01\n", "one.toml")
    bench.write("\n\n" + SUCCESS + "margin_abs = 0.02\n", "two.toml")
    issue = bench.issue(f'{PLATFORM}[rules]\npacks = ["one.toml", "two.toml"]\n')

    assert ("two.toml", 4, 7, "rule.mine") == (issue.file, issue.line, issue.column, issue.key)
    assert (
        "the rule `mine` is already in one.toml:2:7; rename one of the two, or list one of the packs only"
    ) == issue.message


def test_a_change_that_breaks_a_rule_is_an_error_of_the_configuration(bench: Bench) -> None:
    """The pack is right; the line that made it wrong is shown."""
    issue = bench.issue(f"{PLATFORM}[rules.change.cost]\nlimit_usd = 3\n")

    assert (str(bench.config), 5, "rules.change.cost.limit_usd") == (issue.file, issue.line, issue.key)


def test_a_change_is_not_blamed_for_a_pack_that_is_missing(bench: Bench) -> None:
    """The misspelt name of the pack is the only mistake."""
    issue = bench.issue(f'{PLATFORM}[rules]\npacks = ["cost-gard"]\n[rules.change.cost_guard_mean]\nweight = 1\n')

    assert "rules.packs[0]" == issue.key


def test_the_smallest_alpha_of_the_packs_holds(bench: Bench) -> None:
    """Adding a pack never raises the number of false alarms."""
    bench.write(SUCCESS.replace("[rule", "alpha = 0.001\n[rule") + "margin_abs = 0.01\n", "mine.toml")

    assert 0.001 == load_rules(("default", "mine.toml"), folder=bench.folder).alpha
    assert 0.02 == load_rules(("default", "mine.toml"), folder=bench.folder, alpha=0.02).alpha


def test_an_unfit_alpha_is_refused_in_python_too() -> None:
    """The replay and the demo pass it without a file."""
    with pytest.raises(ConfigError, match=r"rules: rules.alpha: got the number 0.5; must be the share"):
        load_rules(alpha=0.5)


def test_the_digest_depends_on_what_is_decided_and_on_nothing_else() -> None:
    """The order of the rules and the pack's whereabouts do not matter, every number does."""
    a = Rule(name="a", metric=Metric.COST, statistic=Statistic.MEAN, margin_rel=0.1)
    b = Rule(name="b", metric=Metric.SUCCESS, statistic=Statistic.LIMIT, limit_share=0.5)
    one = rule_set(source="here", alpha=0.005, rules=(a, b))

    assert one.digest == rule_set(source="there", alpha=0.005, rules=(b, a)).digest
    assert one.digest != rule_set(source="here", alpha=0.004, rules=(a, b)).digest
    assert one.digest != rule_set(source="here", alpha=0.005, rules=(a,)).digest


def test_the_digest_does_not_depend_on_how_a_number_is_written(bench: Bench) -> None:
    """`1`, `1.0` and the default are one weight."""
    bench.write(SUCCESS + "margin_abs = 0.01\n", "default.toml")
    bench.write(SUCCESS + "margin_abs = 1e-2\nweight = 1\n", "whole.toml")
    bench.write(SUCCESS + "weight = 1.0\nmargin_abs = 0.010\n", "point.toml")

    digests = {load_rules((f"{name}.toml",), folder=bench.folder).digest for name in ("default", "whole", "point")}

    assert 1 == len(digests)


def test_built_in_packs_are_found_in_an_installed_package(tmp_path: Path) -> None:
    """A wheel carries them inside the package."""
    package = tmp_path / "watchdog"
    (package / "_builtin_rules").mkdir(parents=True)
    (tmp_path / "rules").mkdir()

    assert package / "_builtin_rules" == builtin_folder(package)


def test_built_in_packs_are_found_in_a_checkout(tmp_path: Path) -> None:
    """An editable install reads the folder beside the package."""
    package = tmp_path / "watchdog"
    package.mkdir()

    assert tmp_path / "rules" == builtin_folder(package)


def test_the_running_program_finds_its_packs() -> None:
    """Whichever way this one is installed, the packs of the repository are there."""
    assert builtin_folder(importlib.resources.files("watchdog")).is_dir()
    assert tuple(PACKS) == builtin_packs()
