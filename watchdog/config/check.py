"""What a configuration amounts to: the facts of `promptwatch check`, each rule as a sentence."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from watchdog.config.kinds import duration_text
from watchdog.config.lint import findings
from watchdog.config.report import Override, Report, RuleLine, SecretLine, Strength
from watchdog.config.secret import SecretRef
from watchdog.config.strength import ASSUMED, assumed_traffic, forecasts
from watchdog.core.rules import Action, Method, Metric, Rule, Statistic
from watchdog.core.words import count

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from watchdog.config.settings import PromptRules, Settings
    from watchdog.config.strength import Traffic
    from watchdog.core.rules import RuleSet

# Calls a second for which the strength of the rules is said where nothing is known of the traffic.
TYPICAL_RATES = (0.01, 0.1, 1.0)
_METHODS = {
    Method.SEQUENTIAL: "",
    Method.FISHER: "Fisher's exact test",
    Method.WELCH: "Welch's test",
    Method.MANN_WHITNEY: "the Mann-Whitney test",
    Method.KS: "the Kolmogorov-Smirnov test",
    Method.FIXED: "the exact binomial test",
}
_VERBS = {
    Action.ALERT: "alerts",
    Action.SUGGEST: "suggests a revert",
    Action.COUNTDOWN: "announces a revert, and makes it when nobody stops it,",
    Action.REVERT: "reverts",
}
_MAY = {
    Action.ALERT: "alert",
    Action.SUGGEST: "suggest a revert",
    Action.COUNTDOWN: "revert after a countdown",
    Action.REVERT: "revert by itself",
}
# A limit that the baseline itself breaks cannot tell the versions apart.
_AND_NOT_BEFORE = "and the baseline's, where there is one, is not"
_MILDEST_FIRST = tuple(Action)


def check(settings: Settings, env: Mapping[str, str], traffic: Sequence[Traffic] = ()) -> Report:
    """
    Args:
        env: the environment variables that secrets are read from.
        traffic: what is known of it; without any, a few typical rates are assumed.

    Raises: ConfigError: a secret that can no longer be read.
    """
    rules = settings.rules
    return Report(
        file="" if settings.file is None else str(settings.file),
        summary=tuple(_summary(settings)),
        packs=settings.packs,
        rules=tuple(_rule_line(rule, rules, settings.watch.act) for rule in rules.rules),
        alpha=rules.alpha,
        threshold=rules.threshold.value,
        digest=rules.digest,
        overrides=tuple(_override(override, settings) for override in settings.overrides),
        strength=tuple(_strength(seen, settings) for seen in traffic or _typical(settings)),
        assumed="" if traffic and all(seen.prompt for seen in traffic) else ASSUMED,
        secrets=tuple(
            SecretLine(key=key, reference=repr(reference), length=len(reference.read(env)))
            for key, reference in _references(settings)
        ),
        warnings=tuple(_warnings(settings, traffic)),
    )


def rule_sentence(rule: Rule, act: Action) -> str:
    """
    One rule in words.

    Args:
        act: the most that the configuration allows.
    """
    verb = _VERBS[min(rule.action, act, key=_MILDEST_FIRST.index)]
    patience = f", after {rule.min_calls:,} {_observations(rule)}" if rule.min_calls > 1 else ""
    method = f", by {_METHODS[rule.method]}" if rule.method is not Method.SEQUENTIAL else ""
    return f"{verb} when {_condition(rule)}{patience}{method}"


def _rule_line(rule: Rule, rules: RuleSet, act: Action) -> RuleLine:
    return RuleLine(name=rule.name, sentence=rule_sentence(rule, act), alpha=rules.alpha_of(rule))


def _override(override: PromptRules, settings: Settings) -> Override:
    common, own = settings.rules, override.rules
    names = {rule.name for rule in own.rules}
    lines = [_rule_line(rule, own, settings.act_for(override)) for rule in own.rules]
    shared = [
        (line, common.alpha_of(rule)) for rule, line in zip(own.rules, lines, strict=True) if rule in common.rules
    ]
    return Override(
        glob=override.glob,
        source=own.source.removesuffix(f", for {override.glob}"),
        alpha=own.alpha,
        threshold=own.threshold.value,
        digest=own.digest,
        rules=tuple(line for rule, line in zip(own.rules, lines, strict=True) if rule not in common.rules),
        reweighed=tuple(line for line, alpha in shared if not math.isclose(line.alpha, alpha, rel_tol=1e-9)),
        dropped=tuple(rule.name for rule in common.rules if rule.name not in names),
    )


def _condition(rule: Rule) -> str:
    quantity = _quantity(rule)
    match rule.statistic:
        case Statistic.PROPORTION:
            return f"{quantity} rises by more than {_tolerated(rule)} over the baseline"
        case Statistic.QUANTILE | Statistic.MEAN:
            return f"{quantity} rises by more than {_percent(rule.margin_rel)} over the baseline"
        case Statistic.DISTRIBUTION:
            worse = "slower" if rule.metric is Metric.LATENCY else "dearer"
            margin = _percent(rule.margin_rel)
            return f"any part of the calls, the median too, gets more than {margin} {worse} than the baseline"
        case Statistic.LIMIT:
            return _limit(rule, quantity)


def _limit(rule: Rule, quantity: str) -> str:
    if rule.limit_share is not None:
        return f"{quantity} is above {_percent(rule.limit_share)} {_AND_NOT_BEFORE}"
    value = rule.limit_value or 0.0
    amount = f"{value:,.0f} ms" if rule.metric is Metric.LATENCY else f"${value:g}"
    if rule.quantile is None:
        return f"{quantity} is above {amount} {_AND_NOT_BEFORE}"
    over = "take longer than" if rule.metric is Metric.LATENCY else "cost more than"
    return (
        f"more than {_percent(1.0 - rule.quantile)} of the calls {over} {amount}, and not of the baseline's, where "
        "there is one"
    )


def _quantity(rule: Rule) -> str:
    match rule.metric:
        case Metric.SUCCESS:
            return "the failure rate"
        case Metric.ERROR_KIND:
            kind = "" if rule.error_kind is None else rule.error_kind.value
            return f"the share of calls that fail with `{kind}`"
        case Metric.FEEDBACK:
            return "the share of bad feedback"
        case Metric.LATENCY:
            return "the mean latency" if rule.quantile is None else f"p{100.0 * rule.quantile:g} latency"
        case Metric.COST:
            return (
                "the mean cost of a call" if rule.quantile is None else f"the p{100.0 * rule.quantile:g} cost of a call"
            )


def _tolerated(rule: Rule) -> str:
    points = f"{100.0 * rule.margin_abs:g} pp"
    if not rule.margin_rel:
        return points
    ratio = f"{_percent(rule.margin_rel)} of itself"
    return f"{points} or {ratio}, whichever is more," if rule.margin_abs else ratio


def _observations(rule: Rule) -> str:
    return "pieces of feedback" if rule.metric is Metric.FEEDBACK else "calls"


def _summary(settings: Settings) -> Iterator[str]:
    watch = settings.watch
    without = f", without {_quoted(watch.exclude)}" if watch.exclude else ""
    yield f"Watches {_quoted(watch.prompts)}{without} on {settings.platform.url}, environment {watch.environment}."
    length, baseline = duration_text(watch.length), duration_text(watch.baseline)
    yield f"A promotion is watched for {length} and compared with the {baseline} before it."
    yield f"After a revert the numbers have {duration_text(settings.recovery.deadline)} to come back."
    if pages := settings.status.pages:
        yield f"When production got worse, the status of {', '.join(pages)} is looked at."
    match watch.act:
        case Action.ALERT:
            yield "The watchdog may only alert."
        case Action.COUNTDOWN:
            length = duration_text(watch.countdown)
            yield f"The watchdog may revert by itself after a countdown of {length}, which a person can cancel."
        case Action.SUGGEST:
            yield "The watchdog may suggest a revert; a person decides."
        case Action.REVERT:
            yield "The watchdog may revert by itself."
    for override in settings.overrides:
        if override.act is not None:
            yield f'About "{override.glob}" it may at most {_MAY[override.act]}.'
    guards = settings.guards
    if settings.most_of_all in (Action.COUNTDOWN, Action.REVERT):
        yield (
            f"At most {guards.per_hour} automatic reverts in an hour and {guards.per_day} in a day; of one prompt the "
            f"next after {duration_text(guards.cooldown)}, twice that after the second, and so on."
        )
    yield f"Notices go to {_receiver(settings)}."
    yield from _self_watch(settings)
    yield from _evidence(settings)


def _self_watch(settings: Settings) -> Iterator[str]:
    if settings.server.listen:
        whom = "anybody who reaches that address" if settings.server.remote else "this machine"
        yield f"Health and metrics are on http://{settings.server.listen}, for {whom}."
    if settings.heartbeat.url is not None:
        yield "A dead man's switch is told once a minute that it lives."


def _evidence(settings: Settings) -> Iterator[str]:
    evidence = settings.evidence
    if evidence.payloads:
        told = "redacted examples go out with the notice" if evidence.slack else "notices hold counts and shapes only"
        calls = f"Up to {evidence.calls} failing calls of a bad version are read and kept, redacted"
        own = f", with {count(len(evidence.redact), 'pattern')} of your own" if evidence.redact else ""
        yield f"{calls}{own}; {told}."


def _receiver(settings: Settings) -> str:
    slack = settings.slack
    if slack is None:
        return "the terminal"
    return "a Slack webhook" if slack.webhook is not None else f"the Slack channel {slack.channel}"


def _references(settings: Settings) -> Iterator[tuple[str, SecretRef]]:
    yield "platform.token", settings.platform.token
    if settings.slack is not None:
        if settings.slack.token is not None:
            yield "slack.token", settings.slack.token
        if settings.slack.webhook is not None:
            yield "slack.webhook", settings.slack.webhook
    if isinstance(settings.store.url, SecretRef):
        yield "store.url", settings.store.url
    if settings.heartbeat.url is not None:
        yield "heartbeat.url", settings.heartbeat.url


def _typical(settings: Settings) -> Iterator[Traffic]:
    for rate in TYPICAL_RATES:
        calls = round(rate * settings.watch.baseline.total_seconds())
        yield assumed_traffic(settings.rules, rate_per_s=rate, baseline_calls=calls)


def _strength(traffic: Traffic, settings: Settings) -> Strength:
    rules = settings.rules_for(traffic.prompt) if traffic.prompt else settings.rules
    watch = settings.watch
    return Strength(
        prompt=traffic.prompt,
        rate_per_s=traffic.rate_per_s,
        baseline_calls=traffic.baseline.calls,
        forecasts=forecasts(rules, traffic, length=watch.length, min_baseline_calls=watch.min_baseline_calls),
    )


def _warnings(settings: Settings, traffic: Sequence[Traffic]) -> Iterator[str]:
    watch = settings.watch
    if settings.most_of_all not in (Action.REVERT, Action.COUNTDOWN):
        yield f'watch.act = "{watch.act.value}": nothing is ever reverted by itself'
    if silenced := [glob for glob in watch.prompts if glob in watch.exclude or "*" in watch.exclude]:
        yield f"watch.exclude takes away all that {_quoted(tuple(silenced))} in watch.prompts names"
    yield from findings(settings, traffic)
    evidence = settings.evidence
    if not evidence.payloads and (evidence.slack or evidence.redact):
        yield "[evidence] does nothing without payloads = true: no body is read"
    if settings.slack is None:
        yield "there is no [slack]: notices go to the terminal, where nobody may look"
    elif settings.slack.webhook is not None:
        yield "slack.webhook cannot update or thread a message; token and channel can"


def _percent(fraction: float) -> str:
    return f"{100.0 * fraction:.4g} %"


def _quoted(globs: tuple[str, ...]) -> str:
    return ", ".join(f'"{glob}"' for glob in globs)
