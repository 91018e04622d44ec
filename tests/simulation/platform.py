"""The prompt platform as the daemon sees it, with a log of what really happened, which nobody can talk it out of."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from tests.simulation.faults import Crash, Fault, Weather
from watchdog.core.model import ActorType, Call, Feedback, Payload, Promotion, Prompt, PromptVersion
from watchdog.errors import BadAnswer, NotSent, OutcomeUnknown, PlatformError, Refused
from watchdog.platforms.protocol import Access, CallPage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.simulation.clock import Calendar, DaemonClock
    from tests.simulation.traffic import Behaviour, Source, Traffic

# A request takes some time, in which others act: so humans come between a look and what follows from it.
_FASTEST_MS, _SLOWEST_MS = 20, 400
# A request that nobody answered is applied at the latest so long after it was sent; shorter than the daemon's `settle`.
LATEST_S = 20.0
_PAGE = 500

ValueT = TypeVar("ValueT")


@dataclass
class Production:
    """
    One prompt's pointer.

    Attributes:
        behaviours: by version id.
        since: when each version of `pointer` went live, oldest first.
    """

    id: str
    slug: str
    source: Source
    behaviours: dict[str, Behaviour] = field(default_factory=dict)
    since: list[datetime] = field(default_factory=list)
    pointers: list[str] = field(default_factory=list)

    @property
    def pointer(self) -> str | None:
        return self.pointers[-1] if self.pointers else None

    def live_at(self, at: datetime) -> tuple[str, Behaviour] | None:
        i = bisect_right(self.since, at) - 1
        return None if i < 0 else (self.pointers[i], self.behaviours[self.pointers[i]])


@dataclass(frozen=True, kw_only=True)
class Entry:
    """
    A line of the platform's log.

    Attributes:
        seen, seen_at: what the daemon had seen last of this prompt's log before it sent, and when; of its promotions.
        sent_at: when the request left; of the daemon's promotions.
        revert_of: as it was handed over.
    """

    promotion: Promotion
    seen: str = ""
    seen_at: datetime | None = None
    sent_at: datetime | None = None
    revert_of: str = ""


@dataclass
class SimulatedPlatform:
    """Implements `watchdog.platforms.protocol.PromptPlatform`."""

    calendar: Calendar
    clock: DaemonClock
    traffic: Traffic
    weather: Weather
    prompts_: dict[str, Production] = field(default_factory=dict)
    log: list[Entry] = field(default_factory=list)
    _seen: dict[str, tuple[str, datetime]] = field(default_factory=dict)
    _skew: timedelta | None = None

    # What people and the world do.

    def add(self, production: Production) -> None:
        self.prompts_[production.id] = production

    def save(self, prompt_id: str, behaviour: Behaviour) -> str:
        """A new version; returns its id."""
        of = self.prompts_[prompt_id]
        version = f"{of.slug}-v{len(of.behaviours) + 1}"
        of.behaviours[version] = behaviour
        return version

    def human_promotes(self, prompt_id: str, version_id: str, actor: str) -> Promotion:
        return self._move(prompt_id, version_id, ActorType.USER, actor).promotion

    def calls_of(self, prompt_id: str, version_id: str, *, since: datetime, until: datetime) -> tuple[Call, ...]:
        """As they were made, whoever asked; for those who check."""
        of = self.prompts_[prompt_id]
        made = self.traffic.calls(of.source, prompt_id, of.live_at, since=since, until=until)
        return tuple(call for call in made if call.version_id == version_id)

    # What the daemon asks.

    @property
    def name(self) -> str:
        return "simulated platform"

    def prompts(self) -> tuple[Prompt, ...]:
        return self._read("GET /prompts", lambda: tuple(_prompt(p) for p in self.prompts_.values()))

    def prompt(self, prompt_id: str) -> Prompt:
        return self._read("GET /prompts/:id", lambda: _prompt(self.prompts_[prompt_id]))

    def versions(self, prompt_id: str) -> tuple[PromptVersion, ...]:
        def look() -> tuple[PromptVersion, ...]:
            versions = self.prompts_[prompt_id].behaviours
            return tuple(
                PromptVersion(id=v, prompt_id=prompt_id, label=f"1.{i}.0", parameters={"model": "acme-large"})
                for i, v in enumerate(versions)
            )[::-1]

        return self._read("GET /versions", look)

    def promotions(self, *, since: datetime, prompt_id: str | None = None) -> tuple[Promotion, ...]:
        def look() -> tuple[Promotion, ...]:
            found = tuple(
                e.promotion for e in self.log if e.promotion.at >= since and prompt_id in (None, e.promotion.prompt_id)
            )
            # A version promoted on top of itself is a double click: nothing was decided by it.
            decided = [p for p in found if p.from_version_id != p.to_version_id]
            self._seen.update({p.prompt_id: (p.id, self.calendar.now) for p in decided})
            return found

        return self._read("GET /audit-logs", look)

    def calls(self, prompt_id: str, *, since: datetime, until: datetime) -> Iterator[CallPage]:
        of = self.prompts_[prompt_id]
        rows = self._read(
            "GET /execution-logs",
            lambda: self.traffic.calls(
                of.source, prompt_id, of.live_at, since=since, until=min(until, self.calendar.now)
            ),
        )
        for i in range(0, len(rows), _PAGE):
            yield CallPage(calls=rows[i : i + _PAGE])
            if self.weather.platform and self.weather.luck.random() < self.weather.platform:
                # A page that comes twice, and one that never comes.
                yield CallPage(calls=rows[i : i + _PAGE])
                raise BadAnswer("half a body", call="GET /execution-logs", retryable=True)

    def payload(self, call_id: str) -> Payload:
        return Payload(call_id=call_id)

    def feedback(self, prompt_id: str, *, since: datetime) -> tuple[Feedback, ...]:  # noqa: ARG002
        return ()

    def promote(self, prompt_id: str, version_id: str, *, note: str, revert_of: str) -> None:
        call = "POST /promote"
        sent_at = self.calendar.now
        seen, seen_at = self._seen.get(prompt_id, ("", None))

        def apply() -> None:
            moved = self._move(prompt_id, version_id, ActorType.API_TOKEN, "promptwatch", note)
            self.log[-1] = replace(moved, seen=seen, seen_at=seen_at, sent_at=sent_at, revert_of=revert_of)

        fault = self._travel()
        match fault:
            case Fault.CRASH_BEFORE:
                raise Crash
            case Fault.NOT_SENT:
                raise NotSent("connection refused", call=call, retryable=True)
            case Fault.BUSY:
                raise Refused("429", call=call, status=429, retryable=True, retry_after_s=15.0)
            case Fault.LOST:
                raise OutcomeUnknown("no answer", call=call, retryable=False)
            case Fault.LATE:
                after = timedelta(seconds=float(self.weather.luck.uniform(0.5, LATEST_S)))
                self.calendar.at(self.calendar.now + after, apply)
                raise OutcomeUnknown("no answer", call=call, retryable=False)
        apply()
        self._travel_back()
        match fault:
            case Fault.CRASH_AFTER:
                raise Crash
            case Fault.ANSWER_LOST:
                raise OutcomeUnknown("the connection ended", call=call, retryable=False)
            case Fault.GARBAGE:
                raise BadAnswer("not JSON", call=call, retryable=False)

    def clock_skew(self) -> timedelta | None:
        return self._skew

    def access(self) -> tuple[Access, ...]:
        return ()

    def health(self) -> None:
        return None

    def compare_url(self, prompt_id: str, bad_version_id: str, good_version_id: str) -> str:
        return f"http://localhost/prompts/{prompt_id}/compare?from={good_version_id}&to={bad_version_id}"

    def close(self) -> None:
        pass

    def _read(self, call: str, look: Callable[[], ValueT]) -> ValueT:
        fault = self._travel()
        if fault is Fault.CRASH_BEFORE:
            raise Crash
        if fault not in (Fault.NONE, Fault.CRASH_AFTER):
            raise _as_read(fault, call)
        value = look()
        self._skew = self.calendar.now - self.clock.now()
        self._travel_back()
        if fault is Fault.CRASH_AFTER:
            raise Crash
        return value

    def _travel(self) -> Fault:
        """The request is under way; returns what becomes of it."""
        self._travel_back()
        return self.weather.of_platform()

    def _travel_back(self) -> None:
        ms = int(self.weather.luck.integers(_FASTEST_MS, _SLOWEST_MS))
        self.calendar.pass_by(timedelta(milliseconds=ms / 2))

    def _move(self, prompt_id: str, version_id: str, actor_type: ActorType, actor_id: str, note: str = "") -> Entry:
        of, now = self.prompts_[prompt_id], self.calendar.now
        promotion = Promotion(
            id=f"aud_{len(self.log) + 1:06}",
            prompt_id=prompt_id,
            from_version_id=of.pointer,
            to_version_id=version_id,
            at=now,
            not_before=now,
            actor_type=actor_type,
            actor_id=actor_id,
            revert=version_id in of.pointers,
            note=note,
        )
        of.since.append(now)
        of.pointers.append(version_id)
        entry = Entry(promotion=promotion)
        self.log.append(entry)
        return entry


def _prompt(of: Production) -> Prompt:
    return Prompt(id=of.id, slug=of.slug, name=of.slug, production_version_id=of.pointer)


def _as_read(fault: Fault, call: str) -> PlatformError:
    match fault:
        case Fault.NOT_SENT:
            return NotSent("connection refused", call=call, retryable=True)
        case Fault.BUSY:
            return Refused("429", call=call, status=429, retryable=True, retry_after_s=5.0)
        case Fault.GARBAGE:
            return BadAnswer("not JSON", call=call, retryable=True)
        case _:
            return OutcomeUnknown("no answer", call=call, retryable=True)
