"""The report of `promptwatch check` as values; `--json` prints them as they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from watchdog.config.settings import PackUsed
    from watchdog.config.strength import Forecast


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
class Override:
    """
    Rules for some prompts only.

    Attributes:
        source: the packs that they come from, and the rules that are changed.
        rules: those that differ from the common ones.
        reweighed: common rules that have another share of alpha here.
        dropped: names of common rules that do not hold here.
    """

    glob: str
    alpha: float
    threshold: str
    digest: str
    source: str
    rules: tuple[RuleLine, ...]
    reweighed: tuple[RuleLine, ...]
    dropped: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Strength:
    """
    What the rules can do at some traffic.

    Attributes:
        prompt: slug; empty where nothing is known but the traffic.
        rate_per_s: calls a second.
    """

    prompt: str
    rate_per_s: float
    baseline_calls: int
    forecasts: tuple[Forecast, ...]


@dataclass(frozen=True, kw_only=True)
class Report:
    """
    Attributes:
        file: the configuration file; empty when the settings were made in Python.
        summary: what is watched and what may be done, one sentence a line.
        alpha: the whole budget.
        threshold: which promise alpha keeps.
        digest: of the rules; the same digest decides alike.
        assumed: what the strength rests on, where nothing is known; empty where all of it was measured.
        warnings: what is allowed, and probably not meant.
    """

    file: str
    summary: tuple[str, ...]
    packs: tuple[PackUsed, ...]
    rules: tuple[RuleLine, ...]
    alpha: float
    threshold: str
    digest: str
    overrides: tuple[Override, ...]
    strength: tuple[Strength, ...]
    assumed: str
    secrets: tuple[SecretLine, ...]
    warnings: tuple[str, ...]
