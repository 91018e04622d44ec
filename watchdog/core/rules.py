"""Rules as values. How they are written in TOML is the business of `watchdog.config`."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import Enum
from typing import TYPE_CHECKING, Any

from watchdog.core.model import ErrorKind
from watchdog.stats.eprocess import ThresholdMode

if TYPE_CHECKING:
    from collections.abc import Mapping


class Metric(Enum):
    """What is measured of each call."""

    SUCCESS = "success"  # a call that failed is bad
    ERROR_KIND = "error_kind"  # a call that failed in one given way is bad
    LATENCY = "latency"  # milliseconds, server-observed
    COST = "cost"  # US dollars per call
    FEEDBACK = "feedback"  # a thumbs down or a support ticket is bad, among all feedback


class Statistic(Enum):
    """How candidate and control are compared."""

    PROPORTION = "proportion"  # share of bad calls against the baseline's
    LIMIT = "limit"  # share of bad calls, or of calls over a fixed value, against a number that the user states
    QUANTILE = "quantile"  # one quantile, such as p95, against the baseline's
    DISTRIBUTION = "distribution"  # every quantile at once
    MEAN = "mean"  # the mean against the baseline's


class Method(Enum):
    """Which test answers the rule's question. All but the first are classical and look at growing intervals."""

    SEQUENTIAL = "sequential"  # the e-process: valid at every look, and the fastest
    FISHER = "fisher"  # shares
    WELCH = "welch"  # means
    MANN_WHITNEY = "mann_whitney"  # whole distribution
    KS = "ks"  # whole distribution, one-sided Kolmogorov-Smirnov
    FIXED = "fixed"  # limits: exact binomial test against the number that the user states


class Action(Enum):
    """What follows when the rule trips: the rungs of the ladder, mildest first."""

    ALERT = "alert"
    SUGGEST = "suggest"
    COUNTDOWN = "countdown"
    REVERT = "revert"


class Severity(Enum):
    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


COMPARES_WITH_BASELINE = frozenset({Statistic.PROPORTION, Statistic.QUANTILE, Statistic.DISTRIBUTION, Statistic.MEAN})
ALLOWED_STATISTICS = {
    Metric.SUCCESS: (Statistic.PROPORTION, Statistic.LIMIT),
    Metric.ERROR_KIND: (Statistic.PROPORTION, Statistic.LIMIT),
    Metric.FEEDBACK: (Statistic.PROPORTION, Statistic.LIMIT),
    Metric.LATENCY: (Statistic.QUANTILE, Statistic.DISTRIBUTION, Statistic.LIMIT),
    Metric.COST: (Statistic.MEAN, Statistic.DISTRIBUTION, Statistic.QUANTILE, Statistic.LIMIT),
}
# The methods that can answer each question; the first is the default.
ALLOWED_METHODS = {
    Statistic.PROPORTION: (Method.SEQUENTIAL, Method.FISHER),
    Statistic.LIMIT: (Method.SEQUENTIAL, Method.FIXED),
    Statistic.QUANTILE: (Method.SEQUENTIAL,),
    Statistic.DISTRIBUTION: (Method.SEQUENTIAL, Method.MANN_WHITNEY, Method.KS),
    Statistic.MEAN: (Method.SEQUENTIAL, Method.WELCH),
}


@dataclass(frozen=True, kw_only=True)
class Rule:
    """
    One question asked of every promotion: is the candidate worse than the control by more than the margin?

    Attributes:
        name: unique within the active rules.
        error_kind: set exactly when metric is ERROR_KIND.
        quantile: in (0, 1); set for QUANTILE, and for LIMIT on latency or cost, where the share of calls over
            `limit_value` may be 1 - quantile.
        margin_abs: >= 0, tolerated rise of a share, as a fraction (0.01 = one percentage point); shares only.
        margin_rel: >= 0, tolerated rise relative to the baseline (0.2 = 20 per cent).
        limit_share: in (0, 1); largest share of bad calls; LIMIT on shares only.
        limit_value: > 0, in ms or USD; LIMIT on latency or cost only.
        weight: > 0, share of the promotion's false-alarm budget; weights of the active rules are scaled to sum to 1.
        min_calls: candidate calls before which this rule says nothing.
        method: which test answers; FIXED on latency or cost needs a quantile.
        late_onset: the most that is done where the numbers got worse some time after the promotion, or before it; None
            for SUGGEST, and for REVERT where the statistic is LIMIT: a limit holds whoever is to blame.
        without_peers: the most that is done where no other prompt can tell whether the provider is to blame.
    """

    name: str
    metric: Metric
    statistic: Statistic
    error_kind: ErrorKind | None = None
    quantile: float | None = None
    margin_abs: float = 0.0
    margin_rel: float = 0.0
    limit_share: float | None = None
    limit_value: float | None = None
    weight: float = 1.0
    min_calls: int = 1
    action: Action = Action.REVERT
    severity: Severity = Severity.CRITICAL
    method: Method = Method.SEQUENTIAL
    late_onset: Action | None = None
    without_peers: Action = Action.REVERT

    @property
    def needs_baseline(self) -> bool:
        return self.statistic in COMPARES_WITH_BASELINE

    @property
    def when_late(self) -> Action:
        """The most that is done where it did not begin with the promotion."""
        if self.late_onset is not None:
            return self.late_onset
        return Action.REVERT if self.statistic is Statistic.LIMIT else Action.SUGGEST

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: value.value if isinstance(value, Enum) else value for name, value in values.items()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Rule:
        """The inverse of `to_json`."""
        kind = value["error_kind"]
        enums = {
            "metric": Metric(value["metric"]),
            "statistic": Statistic(value["statistic"]),
            "error_kind": None if kind is None else ErrorKind(kind),
            "action": Action(value["action"]),
            "severity": Severity(value["severity"]),
            "late_onset": None if value.get("late_onset") is None else Action(value["late_onset"]),
            "without_peers": Action(value.get("without_peers", Action.REVERT.value)),
            "method": Method(value.get("method", Method.SEQUENTIAL.value)),  # rules stored by an earlier version
        }
        return cls(**{**value, **enums})


@dataclass(frozen=True, kw_only=True)
class RuleSet:
    """
    The rules that judge one prompt.

    Attributes:
        source: pack names and files it came from, for messages.
        alpha: in (0, 0.5); probability that a harmless promotion trips any rule during its whole watch, at most.
        threshold: which promise `alpha` keeps, proven or certified by simulation.
        digest: hex digest of everything above; two rule sets with the same digest decide alike.
    """

    source: str
    alpha: float
    rules: tuple[Rule, ...]
    digest: str
    threshold: ThresholdMode = ThresholdMode.PROVEN

    def alpha_of(self, rule: Rule) -> float:
        """The rule's share of the budget, by weight (Bonferroni)."""
        return self.alpha * rule.weight / sum(r.weight for r in self.rules)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        rules = [rule.to_json() for rule in self.rules]
        return {
            "source": self.source,
            "alpha": self.alpha,
            "threshold": self.threshold.value,
            "digest": self.digest,
            "rules": rules,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> RuleSet:
        """The inverse of `to_json`."""
        return cls(
            source=value["source"],
            alpha=value["alpha"],
            digest=value["digest"],
            rules=tuple(Rule.from_json(rule) for rule in value["rules"]),
            threshold=ThresholdMode(value.get("threshold", ThresholdMode.PROVEN.value)),
        )
