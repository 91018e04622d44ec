"""
Calls as a pure function of the seed, the prompt and the hour: an hour that nobody looks at costs nothing, and one that
is looked at twice is the same.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from watchdog.core.model import Call, ErrorKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy.typing as npt

_SLOT_S = 3600.0
_KEPT_SLOTS = 4096
_LONGEST_MS = 60_000.0
_PROVIDER = "acme"
_MODEL = "acme-large"


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """
    How a version does.

    Attributes:
        failing: share of its calls that fail by its own fault, in [0, 1].
        slower, dearer: factors on latency and cost.
    """

    failing: float = 0.0
    slower: float = 1.0
    dearer: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Outage:
    """A time in which the provider fails a share of everybody's calls, and is slower for the others."""

    since: datetime
    until: datetime
    failing: float
    slower: float


@dataclass(frozen=True, kw_only=True)
class Silence:
    """A time in which nobody calls a prompt."""

    index: int
    since: datetime
    until: datetime


@dataclass(frozen=True, kw_only=True)
class Source:
    """
    The traffic of one prompt.

    Attributes:
        index: which prompt; tells its calls from those of others.
        per_s: calls a second.
        usual_ms: median latency. spread: sigma of its logarithm.
        usual_failing: share that fails whatever is on production.
    """

    index: int
    per_s: float
    usual_ms: float
    spread: float
    usual_failing: float


@dataclass
class _Slot:
    started_s: npt.NDArray[np.float64]
    luck: npt.NDArray[np.float64]
    common: npt.NDArray[np.float64]
    normal: npt.NDArray[np.float64]
    cost: npt.NDArray[np.float64]


@dataclass
class Traffic:
    """
    Attributes:
        outages: of the provider that all prompts share.
        silences: of single prompts.
    """

    seed: int
    outages: list[Outage] = field(default_factory=list)
    silences: list[Silence] = field(default_factory=list)
    _slots: OrderedDict[tuple[int, int], _Slot] = field(default_factory=OrderedDict)

    def calls(
        self,
        source: Source,
        prompt_id: str,
        version_at: Callable[[datetime], tuple[str, Behaviour] | None],
        *,
        since: datetime,
        until: datetime,
    ) -> tuple[Call, ...]:
        """
        Those that were recorded in [since, until), oldest record first.

        Args:
            version_at: what was on production when a call began; None before anything was.
        """
        first = since.timestamp() - _LONGEST_MS / 1000.0
        found: list[Call] = []
        for number in range(int(first // _SLOT_S), int(until.timestamp() // _SLOT_S) + 1):
            slot = self._slot(source, number)
            for i in np.flatnonzero((slot.started_s >= first) & (slot.started_s < until.timestamp())):
                call = self._call(source, prompt_id, slot, number, int(i), version_at)
                if call is not None and since <= call.recorded_at < until:
                    found.append(call)
        return tuple(sorted(found, key=lambda call: (call.recorded_at, call.id)))

    def _call(
        self,
        source: Source,
        prompt_id: str,
        slot: _Slot,
        number: int,
        i: int,
        version_at: Callable[[datetime], tuple[str, Behaviour] | None],
    ) -> Call | None:
        started_at = datetime.fromtimestamp(float(slot.started_s[i]), UTC)
        live = version_at(started_at)
        if live is None or any(s.index == source.index and s.since <= started_at < s.until for s in self.silences):
            return None
        version_id, does = live
        outage = _during(self.outages, started_at)
        struck = outage is not None and slot.common[i] < outage.failing
        own = slot.luck[i] < source.usual_failing + does.failing
        slower = does.slower * (outage.slower if outage is not None else 1.0)
        latency_ms = min(_LONGEST_MS, source.usual_ms * slower * float(np.exp(source.spread * slot.normal[i])))
        kind = ErrorKind.SERVER_ERROR if struck else ErrorKind.VALIDATION if own else None
        return Call(
            id=f"{source.index}.{number}.{i}",
            prompt_id=prompt_id,
            version_id=version_id,
            environment="production",
            started_at=started_at,
            recorded_at=started_at + timedelta(milliseconds=latency_ms),
            latency_ms=latency_ms,
            ok=kind is None,
            error_kind=kind,
            error_code="" if kind is None else kind.value.upper(),
            cost_usd=float(slot.cost[i]) * does.dearer,
            input_tokens=500,
            output_tokens=120,
            model=_MODEL,
            provider=_PROVIDER,
        )

    def _slot(self, source: Source, number: int) -> _Slot:
        key = (source.index, number)
        if key in self._slots:
            self._slots.move_to_end(key)
            return self._slots[key]
        rng = np.random.default_rng((self.seed, source.index, number))
        n = int(rng.poisson(source.per_s * _SLOT_S))
        slot = _Slot(
            started_s=np.sort(number * _SLOT_S + rng.random(n) * _SLOT_S),
            luck=rng.random(n),
            common=rng.random(n),
            normal=rng.standard_normal(n),
            cost=0.01 * np.exp(0.3 * rng.standard_normal(n)),
        )
        self._slots[key] = slot
        if len(self._slots) > _KEPT_SLOTS:
            self._slots.popitem(last=False)
        return slot


def _during(outages: Iterable[Outage], at: datetime) -> Outage | None:
    return next((outage for outage in outages if outage.since <= at < outage.until), None)
