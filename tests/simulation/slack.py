"""The place where notices go: keeps what arrived, and may fail before or after it did."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.simulation.faults import Crash, Fault, Weather
from watchdog.errors import NotifyError
from watchdog.notify.protocol import Posted

if TYPE_CHECKING:
    from datetime import datetime

    from tests.simulation.clock import Calendar
    from watchdog.core.notice import Notice


@dataclass(frozen=True, kw_only=True)
class Message:
    """What people see; a root where `root` is."""

    key: str
    thread: str
    root: bool
    headline: str
    step: str
    at: datetime


@dataclass
class SimulatedSlack:
    """Implements `watchdog.notify.protocol.Notifier`; a message is found again by its key, as in a history."""

    calendar: Calendar
    weather: Weather
    messages: list[Message] = field(default_factory=list)

    @property
    def name(self) -> str:
        return "simulated channel"

    def deliver(self, notice: Notice, *, root: Posted | None, maybe_sent: bool) -> Posted:
        fault = self.weather.of_slack()
        if fault is Fault.CRASH_BEFORE:
            raise Crash
        if fault in (Fault.NOT_SENT, Fault.LOST, Fault.BUSY):
            raise NotifyError("not delivered", permanent=False, outcome_unknown=fault is Fault.LOST)
        known = maybe_sent and any(message.key == notice.key for message in self.messages)
        if not known:
            self.messages.append(
                Message(
                    key=notice.key,
                    thread=notice.thread,
                    root=root is None,
                    headline=notice.headline,
                    step=notice.step,
                    at=self.calendar.now,
                )
            )
        if fault is Fault.CRASH_AFTER:
            raise Crash
        if fault in (Fault.ANSWER_LOST, Fault.LATE, Fault.GARBAGE):
            raise NotifyError("no answer", permanent=False, outcome_unknown=True)
        return Posted(channel="C1", ts=notice.thread)
