"""What a configuration amounts to, in plain sentences: the report of `promptwatch check`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from watchdog.config.kinds import duration_text
from watchdog.config.secret import SecretRef
from watchdog.core.rules import Action, Metric, Rule, Statistic

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from watchdog.config.settings import PackUsed, Settings

# Below this, no traffic of a watch brings enough evidence.
_HOPELESS_ALPHA = 1e-9
# The engine's strongest bet is on a share of 0.995; what is allowed to be as bad as that can never be called worse.
_NO_ROOM_ABOVE = 0.98
_VERBS = {Action.ALERT: "alerts", Action.SUGGEST: "suggests a revert", Action.REVERT: "reverts"}
_MILDEST_FIRST = (Action.ALERT, Action.SUGGEST, Action.REVERT)


@dataclass(frozen=True, kw_only=True)
class RuleLine:
    """
    Attributes:
        sentence: what makes it trip and what follows, such as `reverts when the failure rate rises by more than ...`.
        alpha: its share of the budget: probability that it trips on a harmless promotion, at most.
    """

    name: str
    sentence: str
    alpha: float


@dataclass(frozen=True, kw_only=True)
class SecretLine:
    """
    Attributes:
        key: dotted path of the key that refers to the secret.
        reference: such as `env:PROMPTHELM_TOKEN`.
        length: of the secret in characters; all that is ever said of it.
    """

    key: str
    reference: str
    length: int


@dataclass(frozen=True, kw_only=True)
class Report:
    """
    Attributes:
        file: the configuration file; empty when the settings were made in Python.
        summary: what is watched and what may be done, one sentence a line.
        alpha: the whole budget.
        digest: of the rules; the same digest decides alike.
        warnings: what is allowed, and probably not meant.
    """

    file: str
    summary: tuple[str, ...]
    packs: tuple[PackUsed, ...]
    rules: tuple[RuleLine, ...]
    alpha: float
    digest: str
    secrets: tuple[SecretLine, ...]
    warnings: tuple[str, ...]


def check(settings: Settings, env: Mapping[str, str]) -> Report:
    """
    Args:
        env: the environment variables that secrets are read from.

    Raises: ConfigError: a secret that can no longer be read.
    """
    rules = settings.rules
    return Report(
        file="" if settings.file is None else str(settings.file),
        summary=tuple(_summary(settings)),
        packs=settings.packs,
        rules=tuple(
            RuleLine(name=rule.name, sentence=rule_sentence(rule, settings.watch.act), alpha=rules.alpha_of(rule))
            for rule in rules.rules
        ),
        alpha=rules.alpha,
        digest=rules.digest,
        secrets=tuple(
            SecretLine(key=key, reference=repr(reference), length=len(reference.read(env)))
            for key, reference in _references(settings)
        ),
        warnings=tuple(_warnings(settings)),
    )


def lines(report: Report) -> tuple[str, ...]:
    """The report as lines of plain text, without a line end."""
    out = [f"{report.file} is valid." if report.file else "The settings are valid.", *report.summary, ""]
    width = max((len(pack.name) for pack in report.packs), default=0)
    out += ["Rule packs:", *(f"  {pack.name:<{width}}  {pack.description}" for pack in report.packs), ""]
    width = max((len(rule.name) for rule in report.rules), default=0)
    out.append(
        f"Rules (at most {_percent(report.alpha)} of harmless promotions trip any of them; its share in brackets):"
    )
    out += [f"  {rule.name + ':':<{width + 1}} {rule.sentence} ({_percent(rule.alpha)})" for rule in report.rules]
    out += [f"  digest {report.digest[:12]}", "", "Secrets:"]
    out += [f"  {secret.key} = {secret.reference}: {secret.length} characters" for secret in report.secrets]
    if report.warnings:
        out += ["", "Warnings:", *(f"  {warning}" for warning in report.warnings)]
    return tuple(out)


def rule_sentence(rule: Rule, act: Action) -> str:
    """
    One rule in words.

    Args:
        act: the most that the configuration allows.
    """
    verb = _VERBS[min(rule.action, act, key=_MILDEST_FIRST.index)]
    patience = f", after {rule.min_calls:,} {_observations(rule)}" if rule.min_calls > 1 else ""
    return f"{verb} when {_condition(rule)}{patience}"


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
        return f"{quantity} is above {_percent(rule.limit_share)}, with or without a baseline"
    value = rule.limit_value or 0.0
    amount = f"{value:,.0f} ms" if rule.metric is Metric.LATENCY else f"${value:g}"
    if rule.quantile is None:
        return f"{quantity} is above {amount}, with or without a baseline"
    over = "take longer than" if rule.metric is Metric.LATENCY else "cost more than"
    return f"more than {_percent(1.0 - rule.quantile)} of the calls {over} {amount}, with or without a baseline"


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
    match watch.act:
        case Action.ALERT:
            yield "The watchdog may only alert."
        case Action.SUGGEST:
            yield "The watchdog may suggest a revert; a person decides."
        case Action.REVERT:
            yield "The watchdog may revert by itself."
    yield f"Notices go to {_receiver(settings)}."


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


def _warnings(settings: Settings) -> Iterator[str]:
    rules, watch = settings.rules.rules, settings.watch
    if watch.act is not Action.REVERT:
        yield f'watch.act = "{watch.act.value}": nothing is ever reverted by itself'
    elif not any(rule.action is Action.REVERT for rule in rules):
        yield 'no rule has action = "revert": nothing is ever reverted by itself'
    if not any(rule.statistic is Statistic.LIMIT for rule in rules):
        yield 'no rule has statistic = "limit": a prompt without a baseline is not protected at all'
    if silenced := [glob for glob in watch.prompts if glob in watch.exclude or "*" in watch.exclude]:
        yield f"watch.exclude takes away all that {_quoted(tuple(silenced))} in watch.prompts names"
    for rule in rules:
        yield from _rule_warnings(rule, settings)
    if settings.slack is None:
        yield "there is no [slack]: notices go to the terminal, where nobody may look"
    elif settings.slack.webhook is not None:
        yield "slack.webhook cannot update or thread a message; token and channel can"


def _rule_warnings(rule: Rule, settings: Settings) -> Iterator[str]:
    rules = settings.rules
    share = rules.alpha_of(rule)
    if share < _HOPELESS_ALPHA:
        yield f"rule {rule.name} can hardly ever trip: its weight leaves it {share:.1g} of alpha"
    allowed = rule.limit_share if rule.limit_share is not None else rule.margin_abs
    if allowed >= _NO_ROOM_ABOVE:
        yield f"rule {rule.name} can never trip: it tolerates {_percent(allowed)} of bad calls"
    quicker = [other.name for other in rules.rules if other.metric is rule.metric and other.action is Action.REVERT]
    if rule.action is Action.SUGGEST and quicker and settings.watch.act is Action.REVERT:
        # An incident opens with the first rule that trips and does more than alert; the judging ends there.
        yield (
            f"rule {rule.name} suggests, {', '.join(quicker)} would revert: where {rule.name} trips first, the "
            'promotion waits for a person; make it "alert" or "revert"'
        )


def _percent(fraction: float) -> str:
    return f"{100.0 * fraction:.4g} %"


def _quoted(globs: tuple[str, ...]) -> str:
    return ", ".join(f'"{glob}"' for glob in globs)
