"""Each call to Slack x each way to fail x once, twice, and for an hour; and messages that come twice, or late."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from tests.faults.between import COMMON, SLOW, Trouble
from tests.faults.cell import Cell, Outcome
from tests.faults.invariants import Expected, key_of, own, tripped_roots, violations
from tests.faults.story import Story, ended, over, sent_at
from watchdog.store import outbox

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

TIMES: dict[str, int | None] = {"first": 1, "twice": 2, "always": None}
_HOUR = timedelta(hours=1)
_IMPATIENT_S = 1.0
# After the promotion, as without any trouble: Slack must not keep production waiting.
_REVERTED_WITHIN = timedelta(seconds=40)
_WAYS = tuple(t for t in (*COMMON, Trouble.LIMITED, Trouble.BAD_TOKEN) if t not in (Trouble.STALE, Trouble.REPEAT))
_MADE = ("chat.postMessage", "chat.update")
_LOOKED = ("conversations.history", "conversations.replies")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One trouble of one method."""

    method: str
    trouble: Trouble
    times: str

    @property
    def name(self) -> str:
        return f"{self.method} / {self.trouble.value} / {self.times}"


def cells() -> list[Cell]:
    alone = [(Plan(method=m, trouble=t, times=n),) for m in _MADE for t in _WAYS for n in TIMES]
    # A look at what arrived is made only where that is not known.
    looking = [
        (Plan(method="chat.postMessage", trouble=lost, times="twice"), Plan(method=m, trouble=t, times=n))
        for m, lost in zip(_LOOKED, (Trouble.DROP_AFTER, Trouble.ERROR_AFTER), strict=True)
        for t in _WAYS
        for n in TIMES
    ]
    odd = [
        (Plan(method="chat.postMessage", trouble=t, times=n),)
        for t in (Trouble.REPEAT, Trouble.LATE)
        for n in ("first", "twice")
    ]
    everything = tuple(Plan(method=m, trouble=Trouble.DROP_BEFORE, times="always") for m in (*_MADE, *_LOOKED))
    return [
        Cell(name=" + ".join(p.name for p in planned), play=_playing(planned))
        for planned in (*alone, *looking, *odd, everything)
    ]


def _playing(planned: Sequence[Plan]) -> Callable[[Path], Outcome]:
    return lambda folder: play(folder, planned)


def play(folder: Path, planned: Sequence[Plan]) -> Outcome:
    slow = any(p.trouble in SLOW for p in planned)
    lasting = _Lasting(planned)
    with Story(folder, timeout_s=_IMPATIENT_S if slow else 5.0, on_step=lasting) as story:
        story.slack.retry_after_s = 30
        for p in planned:
            story.slack.plan(p.method, p.trouble, TIMES[p.times])
        story.promote()
        story.play(ended)
        while not over(story) and story.since() < timedelta(hours=2):
            story.rest(timedelta(seconds=30))
        while story.slack.held:
            story.slack.let_go()
        # Slack cannot tell two of the same key apart, so what a network makes of one message may be two.
        doubled = any(p.trouble in (Trouble.REPEAT, Trouble.LATE) for p in planned)
        # And where its history cannot be read, a message that may be a repeat says so: better that than none.
        blind = any(p.method in _LOOKED for p in planned)
        # A token that is good for posting is not refused for changing; should it be, the thread has the news.
        unchanged = any(p.method == "chat.update" and p.trouble is Trouble.BAD_TOKEN for p in planned)
        expected = Expected(root_stays=unchanged and TIMES[planned[0].times] is None, repeats=blind and not doubled)
        found = [v for v in violations(story, expected) if not (doubled and _of_doubles(v))]
        found += [] if over(story) else [f"it came to no end; {story.waiting()} notices are still waiting"]
        found += _late(story) + _out_of_order(story)
        outcome = Outcome(found)
        outcome.counted["troubles met"] += sum(e.trouble is not None for e in story.slack.exchanges)
        outcome.counted["cells whose trouble was met"] += any(e.trouble is not None for e in story.slack.exchanges)
        outcome.counted["reverts"] += len(own(story))
        outcome.counted["messages"] += len(story.world.slack.messages())
    return outcome


def _of_doubles(violation: str) -> bool:
    return "messages with the key" in violation or "threads in Slack" in violation


def _late(story: Story) -> list[str]:
    at = sent_at(story)
    if at is None or at - story.began_at <= _REVERTED_WITHIN:
        return []
    return [f"the revert came {at - story.began_at} after the promotion: it waited for Slack"]


def _out_of_order(story: Story) -> list[str]:
    """In the order in which it happened, and nothing is missing."""
    with story.world.store.read() as connection:
        happened = [p.key for p in outbox.parcels(connection)]
    arrived = list(dict.fromkeys(k for k in map(key_of, story.world.slack.messages()) if k is not None))
    found = (
        []
        if set(happened) == set(arrived)
        else [f"{sorted(set(happened) ^ set(arrived))} did not arrive, or nobody sent it"]
    )
    threads = {root.ts for root in tripped_roots(story)}
    of_thread = [key_of(m) for m in story.world.slack.messages() if m.thread_ts in threads or m.ts in threads]
    once = [key for key in dict.fromkeys(of_thread) if key in happened]
    if once != [key for key in happened if key in once]:
        found.append(f"the thread tells it in the order {once}")
    return found


@dataclass
class _Lasting:
    """What goes on for ever is over after an hour; what is late comes after a minute."""

    planned: Sequence[Plan]
    struck: timedelta | None = None
    calmed: bool = False

    def __call__(self, story: Story) -> None:
        if self.struck is None and any(story.slack.troubled(p.method) for p in self.planned):
            self.struck = story.since()
        if self.struck is None:
            return
        if story.slack.held and story.since() - self.struck >= timedelta(minutes=1):
            story.slack.let_go()
        if not self.calmed and story.since() - self.struck >= _HOUR:
            story.slack.calm()
            self.calmed = True
