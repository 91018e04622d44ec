"""
What is allowed in rules, and hardly meant: units and directions, margins inside the noise, rules that never fire.

Each finding is one sentence that begins with the rule, says what the rule would do, and what to write instead.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from watchdog.config.kinds import duration_text
from watchdog.config.strength import forecasts, tolerated
from watchdog.core.rules import Action, Method, Metric, Rule, RuleSet, Statistic
from watchdog.stats.eprocess import ThresholdMode

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import timedelta

    from watchdog.config.settings import Settings, WatchSettings
    from watchdog.config.strength import Forecast, Traffic

# Below this, no traffic of a watch brings enough evidence.
_HOPELESS_ALPHA = 1e-9
# The engine's strongest bet is on a share of 0.995; what is allowed to be as bad as that can never be called worse.
_NO_ROOM_ABOVE = 0.98
# Answers of language models take longer, and calls cost less.
_FEW_MS = 10.0
_DEAR_USD = 10.0
_LARGE_SHARE = 0.5
# A ratio of 3 is four times as much; 5, 10 or 20 were meant as per cent.
_LARGE_RATIO = 3.0
# A margin is inside the noise where the rule sees nothing smaller than so many times the margin.
_SEVERAL = 5.0
_MOST_CALLS_PER_S = 1000.0
_REVERTS = (Action.REVERT, Action.COUNTDOWN)
_VALUES = (Metric.LATENCY, Metric.COST)


def findings(settings: Settings, traffic: Sequence[Traffic] = ()) -> tuple[str, ...]:
    """
    Everything about the rules that is worth a warning, each once, in the order of the rules.

    Args:
        traffic: what is known of it; without any, only what holds at every traffic is said.
    """
    found: list[str] = []
    known: set[Rule] = set()
    overrides = ((f'"{o.glob}"', o.rules, settings.act_for(o)) for o in settings.overrides)
    for name, rules, act in (("", settings.rules, settings.watch.act), *overrides):
        prefix = f"for {name}: " if name else ""
        fresh = [rule for rule in rules.rules if rule not in known]
        known.update(fresh)
        found += [f"{prefix}{text}" for text in _of_set(rules, act)] if fresh or not name else []
        found += [f"{prefix}{text}" for rule in fresh for text in _of_rule(rule, rules, settings.watch, act)]
    found += _of_overrides(settings)
    for seen in traffic:
        rules = settings.rules_for(seen.prompt) if seen.prompt else settings.rules
        found += _at_traffic(rules, seen, settings.watch)
    return tuple(dict.fromkeys(found))


def _of_set(rules: RuleSet, act: Action) -> Iterator[str]:
    if act in _REVERTS and not any(rule.action in _REVERTS for rule in rules.rules):
        yield 'no rule has action = "revert" or "countdown": nothing is ever reverted by itself'
    if not any(rule.statistic is Statistic.LIMIT for rule in rules.rules):
        yield 'no rule has statistic = "limit": a prompt without a baseline is not protected at all'
    if rules.threshold is ThresholdMode.CERTIFIED and not any(_is_certifiable(rule) for rule in rules.rules):
        yield 'threshold = "certified" changes nothing: no rule here has a certified threshold'


def _of_rule(rule: Rule, rules: RuleSet, watch: WatchSettings, act: Action) -> Iterator[str]:
    share = rules.alpha_of(rule)
    if share < _HOPELESS_ALPHA:
        yield f"rule {rule.name} can hardly ever trip: its weight leaves it {share:.1g} of alpha"
    allowed = rule.limit_share if rule.limit_share is not None else rule.margin_abs
    if allowed >= _NO_ROOM_ABOVE:
        yield f"rule {rule.name} can never trip: it tolerates {_percent(allowed)} of bad calls"
    else:
        yield from _units(rule)
    if rule.needs_baseline and not rule.margin_abs and not rule.margin_rel:
        yield f"rule {rule.name} has no margin: two hours are never quite alike, and it will find that out"
    most = _MOST_CALLS_PER_S * watch.length.total_seconds()
    if rule.min_calls > most:
        length = duration_text(watch.length)
        yield f"rule {rule.name} can never trip: no watch of {length} has min_calls = {rule.min_calls:,} calls"
    quicker = [other.name for other in rules.rules if other.metric is rule.metric and other.action in _REVERTS]
    if rule.action is Action.SUGGEST and quicker and act in _REVERTS:
        # An incident opens with the first rule that trips and does more than alert; the judging ends there.
        yield (
            f"rule {rule.name} suggests, {', '.join(quicker)} would revert: where {rule.name} trips first, the "
            'promotion waits for a person; make it "alert" or "revert"'
        )


def _units(rule: Rule) -> Iterator[str]:
    limit = rule.limit_value
    if limit is not None and rule.metric is Metric.LATENCY and limit < _FEW_MS:
        yield (
            f"rule {rule.name}: limit_ms = {limit:g} is {limit:g} milliseconds; if seconds were meant, write "
            f"{1000.0 * limit:g}"
        )
    if limit is not None and rule.metric is Metric.COST and limit > _DEAR_USD:
        yield f"rule {rule.name}: limit_usd = {limit:g} is ${limit:g} for one call, not for a day or for 1,000 calls"
    share = rule.limit_share
    if share is not None and share > _LARGE_SHARE:
        yield (
            f"rule {rule.name}: limit_share = {share:g} tolerates {_percent(share)} of bad calls; if it was meant as "
            f"a share of good ones, write {1.0 - share:g}"
        )
    if rule.margin_abs > _LARGE_SHARE:
        yield (
            f"rule {rule.name}: margin_abs = {rule.margin_abs:g} tolerates a rise by {100.0 * rule.margin_abs:g} "
            "percentage points; one point is 0.01"
        )
    if rule.margin_rel > _LARGE_RATIO:
        yield (
            f"rule {rule.name}: margin_rel = {rule.margin_rel:g} tolerates a rise by {_percent(rule.margin_rel)}; "
            f"if per cent were meant, write {rule.margin_rel / 100.0:g}"
        )


def _of_overrides(settings: Settings) -> Iterator[str]:
    globs = [override.glob for override in settings.overrides]
    for later, glob in enumerate(globs):
        first = next((earlier for earlier in globs[:later] if fnmatchcase(glob, earlier)), None)
        if first is not None:
            yield f'[[prompts]] "{glob}" never counts: "{first}" stands before it and matches the same prompts'
        if any(fnmatchcase(glob, excluded) for excluded in settings.watch.exclude):
            yield f'[[prompts]] "{glob}" never counts: watch.exclude takes these prompts away'


def _at_traffic(rules: RuleSet, traffic: Traffic, watch: WatchSettings) -> Iterator[str]:
    made = forecasts(rules, traffic, length=watch.length, min_baseline_calls=watch.min_baseline_calls)
    where = f"at {traffic.rate_per_s:g} calls/s"
    if traffic.prompt:
        where = f"{traffic.prompt}, {where}"
    for rule, forecast in zip(rules.rules, made, strict=True):
        if (problem := _weakness(rule, forecast, traffic, watch.length)) is not None:
            yield f"{where}: rule {rule.name} {problem}"


def _weakness(rule: Rule, forecast: Forecast, traffic: Traffic, length: timedelta) -> str | None:
    if forecast.unable:
        return f"is silent: {forecast.unable}"
    most = traffic.rate_per_s * length.total_seconds()
    if rule.min_calls > most:
        return f"can never trip: a watch has {most:,.0f} calls, and min_calls = {rule.min_calls:,}"
    if forecast.smallest is None:
        return "can never trip: even the worst takes more calls than a watch has; give it more weight or a longer watch"
    margin = tolerated(rule, traffic.baseline)
    if margin and forecast.smallest > _SEVERAL * margin:
        said = f"{100.0 * margin:.2g} pp" if rule.metric not in _VALUES else f"{_percent(margin)}"
        return (
            f"sees nothing smaller than {forecast.smallest_text} in a whole watch: its margin of {said} lies far "
            "inside the noise"
        )
    return None


def _is_certifiable(rule: Rule) -> bool:
    certifiable = (Statistic.PROPORTION, Statistic.QUANTILE, Statistic.DISTRIBUTION)
    return rule.method is Method.SEQUENTIAL and rule.statistic in certifiable


def _percent(fraction: float) -> str:
    return f"{100.0 * fraction:.4g} %"
