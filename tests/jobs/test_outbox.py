"""Nothing lost, nothing said twice, and in order: asserted from what arrived at Slack."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.builders import MINUTE, SECOND
from watchdog.core.notice import Notice, Tone
from watchdog.core.rollback import SagaState
from watchdog.embedded.slack_workspace import Fault, SlackWorkspace
from watchdog.jobs import send
from watchdog.store import incidents, outbox
from watchdog.store.outbox import Delivery

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.world import World
    from watchdog.notify.protocol import Posted


class Crash(BaseException):
    """The process is gone; nothing may catch this."""


@dataclass
class Dying:
    """A notifier that ends the process before or after its n-th delivery."""

    inner: Any
    at: int
    after: bool = False
    done: int = 0

    def deliver(self, *args: Any, **given: Any) -> Posted:
        if not self.after:
            self._step()
        posted: Posted = self.inner.deliver(*args, **given)
        if self.after:
            self._step()
        return posted

    def _step(self) -> None:
        self.done += 1
        if self.done == self.at:
            raise Crash

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def put(world: World, *names: str, thread: str = "incident") -> None:
    with world.store.write() as connection:
        for name in names:
            notice = Notice(
                key=f"{thread}:{name}",
                thread=thread,
                tone=Tone.ALARM,
                headline=f"headline of {thread} {name}",
                step=f"step {name}",
                at=world.clock.now(),
            )
            assert outbox.put(connection, notice)


def minutes(world: World, n: int) -> None:
    for _ in range(n):
        world.clock.move(MINUTE)
        send.run(world.deps, world.clock.now())


def told(world: World, root: int = 0) -> list[str]:
    """The names of the notices of one thread as they arrived, the root's first."""
    message = world.roots()[root]
    arrived = [message, *world.slack.replies(message.ts)]
    return [m.payload["metadata"]["event_payload"]["key"].rpartition(":")[2] for m in arrived]


def states(world: World) -> list[Delivery]:
    with world.store.read() as connection:
        return [parcel.state for parcel in outbox.parcels(connection)]


def test_slack_down_for_an_hour_loses_nothing_and_repeats_nothing(world: World) -> None:
    """What was said meanwhile arrives within minutes of its return, in order."""
    port = urlsplit(world.slack_url).port
    world.slack.stop()
    put(world, "a", "b")
    send.run(world.deps, world.clock.now())
    minutes(world, 30)
    put(world, "c")
    put(world, "a", thread="other")
    minutes(world, 30)
    assert [Delivery.NEW] * 4 == states(world)

    world.slack = SlackWorkspace(world.folder / "slack.db", port=port or 0)
    world.slack.start()
    world.callback(world.slack.stop)
    minutes(world, 6)

    assert [Delivery.SENT] * 4 == states(world)
    assert [["a"], ["a", "b", "c"]] == sorted(told(world, root) for root in range(len(world.roots())))


@pytest.mark.parametrize("fault", [Fault.DROP_AFTER, Fault.ERROR_AFTER])
@pytest.mark.parametrize("nth", [0, 1], ids=["the root", "a reply"])
def test_a_message_whose_answer_was_lost_is_found_and_not_repeated(world: World, fault: Fault, nth: int) -> None:
    """By the key that it carries."""
    names = ["a", "b", "c"]
    put(world, *names[:nth])
    send.run(world.deps, world.clock.now())
    world.slack.inject(fault)
    put(world, *names[nth:])
    send.run(world.deps, world.clock.now())
    assert Delivery.SENDING in states(world)
    minutes(world, 3)

    assert [Delivery.SENT] * 3 == states(world)
    assert 1 == len(world.roots())
    assert ["a", "b", "c"] == told(world)


@pytest.mark.parametrize("fault", [Fault.DROP_BEFORE, Fault.ERROR_BEFORE, Fault.HTML])
def test_a_message_that_never_arrived_is_sent_again(world: World, fault: Fault) -> None:
    """Once it was looked for and not found."""
    world.slack.inject(fault, times=2)
    put(world, "a", "b")
    send.run(world.deps, world.clock.now())
    minutes(world, 3)

    assert [Delivery.SENT] * 2 == states(world)
    assert [["a", "b"]] == [told(world, root) for root in range(len(world.roots()))]


def test_a_thread_that_slack_asks_to_wait_holds_up_no_other(world: World) -> None:
    """And is taken up again when the time is over, not before."""
    world.slack.inject(Fault.RATE_LIMITED, retry_after_s=90)
    put(world, "a", "b", thread="one")
    put(world, "a", thread="two")
    send.run(world.deps, world.clock.now())
    assert 1 == len(world.roots())
    assert "headline of two a" in world.roots()[0].text

    minutes(world, 1)
    assert 1 == len(world.roots())
    minutes(world, 1)

    assert [Delivery.SENT] * 3 == states(world)
    assert ["a", "b"] == told(world, 1)


def test_a_wait_of_no_seconds_does_not_spin(world: World) -> None:
    """Slack says Retry-After: 0, again and again: the sender goes on to other work all the same."""
    world.slack.inject(Fault.RATE_LIMITED, retry_after_s=0, times=40)
    put(world, "a")
    send.run(world.deps, world.clock.now())

    assert len(world.slack.calls()) <= 2
    assert [Delivery.NEW] == states(world)


def test_a_wait_of_years_is_not_believed(world: World) -> None:
    """A wrong number must not silence an alert: ten minutes are the longest."""
    world.slack.inject(Fault.RATE_LIMITED, retry_after_s=10**18)
    put(world, "a")
    send.run(world.deps, world.clock.now())
    minutes(world, 11)

    assert ["a"] == told(world)


def test_a_root_that_is_refused_for_good_leaves_the_next_notice_to_open_the_thread(world: World) -> None:
    """Later news must not be lost with it; what was refused is kept with the reason."""
    world.slack.inject(Fault.REFUSE, error="msg_too_long")
    put(world, "a", "b", "c")
    send.run(world.deps, world.clock.now())

    assert [Delivery.DEAD, Delivery.SENT, Delivery.SENT] == states(world)
    assert ["b", "c"] == told(world)
    with world.store.read() as connection:
        assert "msg_too_long" in outbox.parcels(connection)[0].error


def test_a_refusal_that_a_person_can_mend_loses_nothing(world: World) -> None:
    """The channel was archived for a while; everything arrives once it is not, in order."""
    world.slack.inject(Fault.REFUSE, error="is_archived", times=12)
    put(world, "a", "b")
    minutes(world, 30)
    assert [] == world.roots()
    minutes(world, 30)

    assert ["a", "b"] == told(world)


def test_a_reply_that_must_wait_is_not_overtaken(world: World) -> None:
    """The thread tells its story in the order in which it happened."""
    put(world, "a")
    send.run(world.deps, world.clock.now())
    world.slack.inject(Fault.RATE_LIMITED, retry_after_s=30)
    put(world, "b")
    send.run(world.deps, world.clock.now())
    put(world, "c", "d")
    send.run(world.deps, world.clock.now())
    assert ["a"] == told(world)

    minutes(world, 1)

    assert ["a", "b", "c", "d"] == told(world)


@pytest.mark.parametrize("after", [False, True], ids=["before it left", "after it arrived"])
@pytest.mark.parametrize("at", [1, 2], ids=["the root", "a reply"])
def test_a_restart_in_the_middle_of_sending_repeats_and_loses_nothing(world: World, at: int, after: bool) -> None:
    """The row says SENDING, so the message is looked for before it is posted again."""
    put(world, "a", "b", "c")
    dying = replace(world.deps, notifier=Dying(world.deps.notifier, at, after))
    with pytest.raises(Crash):
        send.run(dying, world.clock.now())
    assert Delivery.SENDING in states(world)

    world.restart()
    send.run(world.deps, world.clock.now())

    assert [Delivery.SENT] * 3 == states(world)
    assert 1 == len(world.roots())
    assert ["a", "b", "c"] == told(world)


@dataclass
class Observed:
    """A store that calls somebody after each commit."""

    inner: Any
    after_commit: Callable[[], None]

    @contextmanager
    def write(self, **given: Any) -> Iterator[Any]:
        with self.inner.write(**given) as connection:
            yield connection
        self.after_commit()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def test_a_notice_and_the_state_that_it_tells_of_commit_together(world: World) -> None:
    """Looked at after every single commit, where a death would leave the file: never the one without the other."""
    untold = {SagaState.INTENT: 1, SagaState.SENDING: 1, SagaState.PROMOTED: 1, SagaState.CONFIRMED: 2}
    seen: list[tuple[SagaState, int]] = []

    def look() -> None:
        with world.store.read() as connection:
            found = incidents.all_incidents(connection)
            notices = [p.key for p in outbox.parcels(connection) if found and p.key.startswith(found[0].id)]
        if found:
            seen.append((found[0].state, len(notices)))

    world.look()
    world.promote(world.v2)
    world.calls(world.v2, 30, failures=30, since=world.clock.now() + SECOND, every=SECOND)
    world.clock.move(2 * MINUTE)
    world.deps = replace(world.deps, store=Observed(world.deps.store, look))  # type: ignore[arg-type]
    world.look()

    assert {*untold.items(), (SagaState.DONE, 3)} == set(seen)
    assert ["tripped", "confirmed", "done"] == told(world)
