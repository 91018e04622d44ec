"""
One rule in TOML: its keys, which of them go together, and the `core.rules.Rule` that it means.

Units are in the keys (`limit_ms`, `limit_usd`), and whatever a key would not change is refused, so that no pack says
something that is then ignored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from watchdog.config.disclosure import listed, nearest
from watchdog.config.kinds import choice, count, number, text
from watchdog.config.table import KeyedBy, Table, means
from watchdog.core.model import ErrorKind
from watchdog.core.rules import (
    ALLOWED_METHODS,
    ALLOWED_STATISTICS,
    COMPARES_WITH_BASELINE,
    Action,
    Method,
    Metric,
    Rule,
    Severity,
    Statistic,
)
from watchdog.stats.eprocess import ThresholdMode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SHARES = frozenset({Metric.SUCCESS, Metric.ERROR_KIND, Metric.FEEDBACK})
# The key that holds the limit of a rule, by what is measured.
LIMIT_KEYS = {
    Metric.SUCCESS: "limit_share",
    Metric.ERROR_KIND: "limit_share",
    Metric.FEEDBACK: "limit_share",
    Metric.LATENCY: "limit_ms",
    Metric.COST: "limit_usd",
}
_NUMBERS = frozenset({"quantile", "margin_abs", "margin_rel", "limit_share", "limit_ms", "limit_usd"})
# Stands for a number that cannot be read; fits all of them.
_SOMETHING = 0.5
ALPHA = number(above=0.0, below=0.5, what="the share of harmless promotions that may trip any rule, such as 0.005")
THRESHOLD = choice(ThresholdMode)
PACK_NAME = text('the name of a built-in pack, or the path of a TOML file such as "rules/support.toml"', r"\S(.*\S)?")
RULE_NAME = text("a rule's name: small letters, digits and _, at most 40, a letter first", r"[a-z][a-z0-9_]{0,39}")
# What follows from a rule of a pack that does not say: nobody has seen it work yet.
NEW_RULES_ACT = Action.ALERT
ALPHA_MEANS = (
    "At most this share of harmless promotions trips any rule, during the whole watch and however often one looks."
)
THRESHOLD_MEANS = "Which promise `alpha` keeps: by proof, or by simulation, which needs fewer calls."


class ChangeTable(Table):
    """What a configuration may change of a pack's rule. None: left as it is."""

    quantile: Annotated[
        float | None,
        number(least=0.01, below=1.0, what="a fraction, where 0.95 is p95"),
        means(
            "`0.95` is p95. The statistic `quantile` needs it. With a `limit` on latency or cost it says how many "
            "calls may lie above: with `0.95`, at most 5 %; without it the limit is on the mean."
        ),
    ] = None
    margin_abs: Annotated[
        float | None,
        number(least=0.0, below=1.0, what="a share, where 0.01 is one percentage point"),
        means("How much a share may rise: `0.01` is one percentage point."),
    ] = None
    margin_rel: Annotated[
        float | None,
        number(least=0.0, most=10.0, what="a ratio, where 0.2 is 20 per cent of the baseline"),
        means(
            "How much it may rise relative to the baseline: `0.2` is 20 %. With both margins on a share, the larger "
            "one counts."
        ),
    ] = None
    limit_share: Annotated[
        float | None,
        number(above=0.0, most=0.99, what="a share of calls, where 0.5 is every second one"),
        means("The largest share of bad calls; `limit` on `success`, `error_kind`, `feedback`."),
    ] = None
    limit_ms: Annotated[
        float | None, number(above=0.0, most=86_400_000.0, what="milliseconds"), means("`limit` on `latency`.")
    ] = None
    limit_usd: Annotated[
        float | None, number(above=0.0, most=10_000.0, what="US dollars for one call"), means("`limit` on `cost`.")
    ] = None
    weight: Annotated[
        float | None,
        number(above=0.0, most=1000.0, what="a share of alpha, relative to the other rules' weights"),
        means("Its share of `alpha`, relative to the other rules' weights."),
    ] = None
    min_calls: Annotated[
        int | None,
        count(1, 1_000_000),
        means(
            "Calls of the new version (feedback: pieces of it) before which the rule says nothing. The statistics do "
            "not need it; it is for calls that fail in bursts."
        ),
    ] = None
    action: Annotated[
        Action | None,
        choice(Action),
        means("What follows; a rule that does not say is new, and is only observed. `act` may allow less."),
    ] = None
    severity: Annotated[
        Severity | None,
        choice(Severity),
        means("How the notice is shown, and which rule is named first where several trip."),
    ] = None
    method: Annotated[
        Method | None, choice(Method), means("Which test answers: the sequential engine, or a classical one.")
    ] = None
    late_onset: Annotated[
        Action | None,
        choice(Action),
        means(
            "The most that is done when the numbers got worse some time after the promotion, or before it. Not set: "
            "`suggest`, and `revert` for the statistic `limit`."
        ),
    ] = None
    without_peers: Annotated[
        Action | None,
        choice(Action),
        means(
            "The most that is done where no other prompt on the same provider can tell whether the provider is to "
            "blame: there is none, or its calls are too few."
        ),
    ] = None


class RuleTable(ChangeTable):
    """A rule of a pack. None: not set."""

    metric: Annotated[Metric, choice(Metric), means("What is measured of each call.")]
    statistic: Annotated[Statistic, choice(Statistic), means("How the new version is compared.")]
    error_kind: Annotated[
        ErrorKind | None,
        choice(ErrorKind),
        means("Which failures count; with the metric `error_kind`, and only there."),
    ] = None


class PackTable(Table):
    """A whole pack file."""

    description: Annotated[
        str, text("one line that says what the pack is for"), means("One line that says what the pack is for.")
    ]
    alpha: Annotated[float | None, ALPHA, means(ALPHA_MEANS)] = None
    threshold: Annotated[ThresholdMode | None, THRESHOLD, means(THRESHOLD_MEANS)] = None
    rule: Annotated[dict[str, RuleTable], KeyedBy(RULE_NAME), means("The rules by name.")]


def changed(rule: RuleTable, change: ChangeTable) -> RuleTable:
    """The rule with the change's values in place of its own."""
    return rule.model_copy(update={key: value for key, value in change if value is not None})


def misfits(rule: RuleTable) -> Iterator[tuple[str, str]]:
    """Every key that does not go together with the others: the key, and why."""
    allowed = ALLOWED_STATISTICS[rule.metric]
    if rule.statistic not in allowed:
        names = listed(tuple(statistic.value for statistic in allowed))
        yield (
            "statistic",
            f"`{rule.statistic.value}` does not fit the metric `{rule.metric.value}`; must be one of {names}",
        )
        return
    if rule.metric is Metric.ERROR_KIND and rule.error_kind is None:
        kinds = listed(tuple(kind.value for kind in ErrorKind))
        yield "error_kind", f"is missing; the metric `error_kind` needs it; must be one of {kinds}"
    if rule.metric is not Metric.ERROR_KIND and rule.error_kind is not None:
        yield (
            "error_kind",
            f'means nothing with the metric `{rule.metric.value}`; remove it, or set metric = "error_kind"',
        )
    yield from _method_misfits(rule)
    if rule.late_onset is not None and rule.method not in (None, Method.SEQUENTIAL):
        yield "late_onset", f"means nothing with the method `{rule.method.value}`, which does not know when it began"
    yield from _quantile_misfits(rule)
    yield from _margin_misfits(rule)
    yield from _limit_misfits(rule)


def misfits_beside(rule: RuleTable, wrong: frozenset[str]) -> Iterator[tuple[str, str]]:
    """
    The misfits of a rule with other issues, as far as they do not rest on these.

    Args:
        rule: without the keys that have an issue.
        wrong: names of these keys. A misspelt one stands for the key that was meant.
    """
    meant = {nearest(key, tuple(RuleTable.model_fields)) or key for key in wrong} | wrong
    # That a key is there is known, and not its value: nothing is missing because its value is wrong.
    there: dict[str, object] = {key: _SOMETHING for key in meant & _NUMBERS if getattr(rule, key) is None}
    if "error_kind" in meant and rule.metric is Metric.ERROR_KIND:
        there["error_kind"] = ErrorKind.OTHER
    for key, why in misfits(rule.model_copy(update=there)):
        if key not in meant:
            yield key, why


_AS_GIVEN = (
    "margin_abs",
    "margin_rel",
    "weight",
    "min_calls",
    "action",
    "severity",
    "method",
    "late_onset",
    "without_peers",
)


def to_rule(name: str, table: RuleTable) -> Rule:
    """The rule that the table means; the table has no misfits."""
    given: Mapping[str, float | int | Action | Severity | Method] = {"action": NEW_RULES_ACT} | {
        key: value for key in _AS_GIVEN if (value := getattr(table, key)) is not None
    }
    return Rule(
        name=name,
        metric=table.metric,
        statistic=table.statistic,
        error_kind=table.error_kind,
        quantile=table.quantile,
        limit_share=table.limit_share,
        limit_value=table.limit_ms if table.metric is Metric.LATENCY else table.limit_usd,
        **given,  # type: ignore[arg-type] # the table's fields have the rule's types
    )


def _method_misfits(rule: RuleTable) -> Iterator[tuple[str, str]]:
    if rule.method is None:
        return
    allowed = ALLOWED_METHODS[rule.statistic]
    if rule.method not in allowed:
        names = listed(tuple(method.value for method in allowed))
        must = f"must be one of {names}" if len(allowed) > 1 else f"must be {names}, or left out"
        yield "method", f"`{rule.method.value}` cannot answer the statistic `{rule.statistic.value}`; {must}"
    elif rule.method is Method.FIXED and rule.metric not in SHARES and rule.quantile is None:
        yield (
            "method",
            (
                "`fixed` counts the calls above a limit, and a limit on the mean has none to count; set `quantile`, "
                "such as 0.95, or leave `method` out"
            ),
        )


def _quantile_misfits(rule: RuleTable) -> Iterator[tuple[str, str]]:
    limits_value = rule.statistic is Statistic.LIMIT and rule.metric not in SHARES
    if rule.statistic is Statistic.QUANTILE and rule.quantile is None:
        yield "quantile", "is missing; the statistic `quantile` needs it, such as 0.95 for p95"
    elif rule.quantile is not None and not limits_value and rule.statistic is not Statistic.QUANTILE:
        yield (
            "quantile",
            f"means nothing with the statistic `{rule.statistic.value}` of `{rule.metric.value}`; remove it",
        )


def _margin_misfits(rule: RuleTable) -> Iterator[tuple[str, str]]:
    if rule.statistic not in COMPARES_WITH_BASELINE:
        for key in ("margin_abs", "margin_rel"):
            if getattr(rule, key) is not None:
                yield key, "means nothing with the statistic `limit`, which compares with its number alone; remove it"
    elif rule.metric not in SHARES:
        if rule.margin_abs is not None:
            yield (
                "margin_abs",
                f"is for shares of calls; `{rule.metric.value}` takes `margin_rel`, such as 0.2 for 20 per cent",
            )
        if rule.margin_rel is None:
            yield "margin_rel", "is missing; how much worse than the baseline is tolerated, such as 0.2 for 20 per cent"
    elif rule.margin_abs is None and rule.margin_rel is None:
        yield (
            "margin_abs",
            (
                "is missing; how much worse than the baseline is tolerated, such as 0.01 for one percentage point "
                "(or `margin_rel`, a ratio; with both, the larger counts)"
            ),
        )


def _limit_misfits(rule: RuleTable) -> Iterator[tuple[str, str]]:
    needed = LIMIT_KEYS[rule.metric] if rule.statistic is Statistic.LIMIT else None
    for key in ("limit_share", "limit_ms", "limit_usd"):
        value = getattr(rule, key)
        if key == needed and value is None:
            yield key, f"is missing; the statistic `limit` of `{rule.metric.value}` needs it"
        elif key != needed and value is not None:
            instead = f"write `{needed}`" if needed else 'remove it, or set statistic = "limit"'
            yield key, f"means nothing with the statistic `{rule.statistic.value}` of `{rule.metric.value}`; {instead}"
