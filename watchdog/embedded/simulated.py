"""
A provider that replays recorded calls, version by version, and can be told to fail.

The latency that it reports is the recorded one; the time that a caller waits is that times `wait_factor`, so that a
recorded minute need not last a minute.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, replace
from enum import Enum
from threading import Lock
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.dialects.sqlite import insert as upsert

from watchdog.embedded import provider, tables
from watchdog.embedded.provider import Answer, Request
from watchdog.embedded.recordings import RecordedCall

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from threading import Event

    from watchdog.clock import Clock
    from watchdog.embedded.database import Database
    from watchdog.embedded.executions import Executions

# How a version answers that was saved without a recording.
STEADY = RecordedCall(latency_ms=400.0, cost_usd=0.002, input_tokens=200, output_tokens=60, cached_tokens=0)

_PIECES = 4
_CODE_OF_STATUS = {429: provider.RATE_LIMITED, 504: provider.TIMEOUT, 422: provider.VALIDATION}


class Trouble(Enum):
    """What can be wrong with a simulated call."""

    FAIL = "fail"
    SLOW = "slow"  # the recorded latency is multiplied
    GARBLE = "garble"  # the call succeeds, and its JSON is cut in half


@dataclass(frozen=True, kw_only=True)
class Disturbance:
    """
    What the provider is to do wrong, and to whom.

    Attributes:
        status, error_code: of the failure; the code follows from the status when it is empty.
        factor: > 0, by which the latency grows.
        share: in (0, 1]; which fraction of the calls it hits, evenly spread.
        next_n: how many calls it hits before it is over; None is until `mend`.
        prompt_id, version_id: whose calls; None is everybody's.
        latency_ms: of the failed call; None is the recorded latency.
    """

    trouble: Trouble
    status: int = 503
    error_code: str = ""
    factor: float = 1.0
    share: float = 1.0
    next_n: int | None = None
    prompt_id: str | None = None
    version_id: str | None = None
    latency_ms: float | None = None

    def __post_init__(self) -> None:
        if not 0.0 < self.share <= 1.0:
            raise ValueError(f"share = {self.share}; must be in (0, 1]")
        if not (self.factor > 0.0 and math.isfinite(self.factor)):
            raise ValueError(f"factor = {self.factor}; must be > 0")

    def concerns(self, request: Request) -> bool:
        return self.prompt_id in (None, request.prompt_id) and self.version_id in (None, request.version_id)


@dataclass
class _Active:
    disturbance: Disturbance
    seen: int = 0
    hit: int = 0

    def over(self) -> bool:
        return self.disturbance.next_n is not None and self.hit >= self.disturbance.next_n

    def hits(self) -> bool:
        """Count one call that it concerns; whether this is one of the share that it hits."""
        before, after = (
            math.floor(self.seen * self.disturbance.share),
            math.floor((self.seen + 1) * self.disturbance.share),
        )
        self.seen += 1
        self.hit += after > before
        return after > before


class SimulatedProvider:
    """
    Replays a version's recording in order and begins again at its end.

    The place in the recording is the number of calls that the log holds of the version, so that a restart goes on
    where it was.
    """

    def __init__(self, database: Database, executions: Executions, clock: Clock, *, wait_factor: float) -> None:
        """
        Args:
            wait_factor: >= 0; 0 answers at once, 1 waits the recorded latency in the clock's time.
        """
        if not (wait_factor >= 0.0 and math.isfinite(wait_factor)):
            raise ValueError(f"wait_factor = {wait_factor}; must be >= 0")
        self.wait_factor = wait_factor
        self._database = database
        self._executions = executions
        self._clock = clock
        self._lock = Lock()
        self._recordings: dict[str, tuple[RecordedCall, ...]] = {}
        self._places: dict[str, int] = {}
        self._active: list[_Active] = []

    @property
    def name(self) -> str:
        return "simulated"

    def record(self, version_id: str, calls: Sequence[RecordedCall]) -> None:
        """Write down what the version answers from now on; kept in the file."""
        if not calls:
            raise ValueError("a recording needs at least one call")
        table = tables.recordings
        value = [asdict(call) for call in calls]
        statement = upsert(table).values(version_id=version_id, calls=value)
        with self._database.begin() as connection:
            connection.execute(statement.on_conflict_do_update(index_elements=["version_id"], set_={"calls": value}))
        with self._lock:
            self._recordings[version_id] = tuple(calls)

    def recorded(self, version_id: str) -> bool:
        """Whether the version has a recording of its own."""
        return self._load(version_id) is not None

    def recording(self, version_id: str) -> tuple[RecordedCall, ...]:
        """What the version replays."""
        found = self._load(version_id)
        return (STEADY,) if found is None else found

    def disturb(self, disturbance: Disturbance) -> None:
        """Begin to do this wrong, on top of what is wrong already."""
        with self._lock:
            self._active.append(_Active(disturbance))

    def fail(
        self,
        *,
        status: int = 503,
        error_code: str = "",
        share: float = 1.0,
        next_n: int | None = None,
        prompt_id: str | None = None,
        version_id: str | None = None,
        latency_ms: float | None = None,
    ) -> None:
        """Fail calls; see Disturbance."""
        self.disturb(
            Disturbance(
                trouble=Trouble.FAIL,
                status=status,
                error_code=error_code,
                share=share,
                next_n=next_n,
                prompt_id=prompt_id,
                version_id=version_id,
                latency_ms=latency_ms,
            )
        )

    def slow_down(self, factor: float, *, prompt_id: str | None = None, version_id: str | None = None) -> None:
        """Multiply the latency of every call."""
        self.disturb(Disturbance(trouble=Trouble.SLOW, factor=factor, prompt_id=prompt_id, version_id=version_id))

    def garble(self, *, share: float = 1.0, prompt_id: str | None = None, version_id: str | None = None) -> None:
        """Answer with broken JSON, and success."""
        self.disturb(Disturbance(trouble=Trouble.GARBLE, share=share, prompt_id=prompt_id, version_id=version_id))

    def mend(self) -> None:
        """End every disturbance."""
        with self._lock:
            self._active.clear()

    def healthy(self) -> bool:
        with self._lock:
            return not any(_fails_everybody(active) for active in self._active)

    def complete(self, request: Request, stop: Event) -> Answer:
        answer = self._next_answer(request)
        self._clock.wait(stop, self._wait_s(answer))
        return answer

    def stream(self, request: Request, stop: Event) -> Iterator[str | Answer]:
        answer = self._next_answer(request)
        pieces = _pieces(answer.output)
        for piece in pieces:
            self._clock.wait(stop, self._wait_s(answer) / len(pieces))
            yield piece
        if not pieces:
            self._clock.wait(stop, self._wait_s(answer))
        yield answer

    def close(self) -> None:
        """Nothing is held."""

    def _wait_s(self, answer: Answer) -> float:
        return (answer.call.latency_ms or 0.0) / 1000.0 * self.wait_factor

    def _next_answer(self, request: Request) -> Answer:
        place, call = self._take(request.version_id)
        with self._lock:
            hits = [
                active.disturbance for active in self._active if active.disturbance.concerns(request) and active.hits()
            ]
            self._active = [active for active in self._active if not active.over()]
        output = _output(request, place)
        call = replace(call, model=call.model or request.model)
        message = "" if call.ok else f"the recorded call failed: {call.error_code}"
        for hit in hits:
            match hit.trouble:
                case Trouble.SLOW:
                    call = replace(call, latency_ms=None if call.latency_ms is None else call.latency_ms * hit.factor)
                case Trouble.GARBLE:
                    output = output[: len(output) // 2]
                case Trouble.FAIL:
                    call, message = _failed(call, hit), f"the provider answered {hit.status}"
        if request.timeout_ms is not None and call.latency_ms is not None and call.latency_ms > request.timeout_ms:
            call = replace(call, ok=False, error_code=provider.TIMEOUT, latency_ms=float(request.timeout_ms))
            message = f"no answer within {request.timeout_ms} ms"
        finish_reason = "stop"
        if call.error_code == provider.UNPARSABLE:
            output = _stopped(request, output)
        elif call.error_code == provider.TRUNCATED:
            output, finish_reason = output[: len(output) // 2], "length"
            call = replace(call, output_tokens=request.max_tokens or call.output_tokens)
        nothing = _said_nothing(call)
        return Answer(
            output="" if nothing else output,
            call=call,
            message=message,
            finish_reason="" if nothing else finish_reason,
            retry_after_s=1 if call.error_code == provider.RATE_LIMITED else None,
        )

    def _take(self, version_id: str | None) -> tuple[int, RecordedCall]:
        if version_id is None:
            return 0, STEADY
        with self._lock:
            if version_id not in self._places:
                self._places[version_id] = self._executions.served(version_id)
            place = self._places[version_id]
            self._places[version_id] = place + 1
            if version_id not in self._recordings:
                self._recordings[version_id] = self.recording(version_id)
            recording = self._recordings[version_id]
        return place, recording[place % len(recording)]

    def _load(self, version_id: str) -> tuple[RecordedCall, ...] | None:
        table = tables.recordings
        with self._database.begin() as connection:
            found = connection.execute(select(table.c.calls).where(table.c.version_id == version_id)).scalar()
        return None if found is None else tuple(RecordedCall(**call) for call in found)


def _fails_everybody(active: _Active) -> bool:
    disturbance = active.disturbance
    everybody = disturbance.prompt_id is None and disturbance.version_id is None and disturbance.share == 1.0
    return everybody and disturbance.trouble is Trouble.FAIL and disturbance.next_n is None


def _failed(call: RecordedCall, hit: Disturbance) -> RecordedCall:
    code = hit.error_code or _CODE_OF_STATUS.get(hit.status, provider.PROVIDER_ERROR)
    failed = replace(call, ok=False, error_code=code)
    if hit.latency_ms is not None:
        failed = replace(failed, latency_ms=hit.latency_ms)
    if _said_nothing(failed):
        # A provider that gave no answer charges nothing.
        failed = replace(failed, cost_usd=0.0, output_tokens=0)
    return failed


def _said_nothing(call: RecordedCall) -> bool:
    return not call.ok and provider.gateway_status(call.error_code) != 422


def _output(request: Request, place: int) -> str:
    return json.dumps({"simulated": True, "model": request.model, "call": place, "question": request.user[:200]})


def _stopped(request: Request, output: str) -> str:
    """What is left of it where a stop sequence cut it; half of it where there is none in it."""
    places = [output.index(stop) for stop in request.stop_sequences if stop and stop in output]
    return output[: min(places)] if places else output[: len(output) // 2]


def _pieces(output: str) -> list[str]:
    size = max(1, math.ceil(len(output) / _PIECES))
    return [output[at : at + size] for at in range(0, len(output), size)]
