"""A watched prompt that gets no calls any more is told of, once, whoever is restarted meanwhile."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.builders import MINUTE, SECOND
from tests.world import World
from watchdog.core.terms import Terms
from watchdog.core.watch import Verdict
from watchdog.embedded.faults import Answering, Fault
from watchdog.jobs import silence, tick
from watchdog.store import outbox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOUR = timedelta(hours=1)


@contextmanager
def called(folder: Path) -> Iterator[World]:
    """Three calls of v1 a minute, for a day."""
    with World(folder, baseline_calls=0, baseline_failures=0, terms=Terms(tick=MINUTE)) as world:
        world.calls(world.v1, 4_320, since=world.clock.now() - 24 * HOUR, every=20 * SECOND)
        yield world


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[World]:
    """Three calls a minute for a day, and v2 watched with as many for a while."""
    with called(tmp_path) as world:
        world.look()
        world.promote(world.v2)
        world.calls(world.v2, 60, since=world.clock.now() + SECOND, every=20 * SECOND)
        looks(world, 3)
        world.clock.move(15 * MINUTE)
        looks(world, 2)
        yield world


def looks(world: World, n: int) -> None:
    for _ in range(n):
        world.clock.move(MINUTE)
        world.look()


def told(world: World) -> list[str]:
    """What was put out, in order: the prompt fell silent, or is heard again."""
    with world.store.read() as connection:
        keys = [parcel.key for parcel in outbox.parcels(connection)]
    return [key.split(":")[2] for key in keys if ":silence:" in key]


def test_a_prompt_that_falls_silent_is_told_of_once_and_so_is_its_return(busy: World) -> None:
    """Nothing is judged from it: no call is no evidence."""
    looks(busy, 8)
    assert [] == told(busy)

    looks(busy, 12)
    assert ["fell"] == told(busy)
    assert any("support-reply: no calls any more" in text for text in busy.said())
    assert Verdict.REGRESSED is not busy.watch.verdict
    assert () == busy.incidents()

    busy.calls(busy.v2, 42, since=busy.clock.now() + SECOND, every=20 * SECOND)
    looks(busy, 2)
    busy.clock.move(11 * MINUTE)
    looks(busy, 1)
    assert ["fell", "heard"] == told(busy)
    assert any("support-reply: calls come again" in text for text in busy.said())

    looks(busy, 20)
    assert ["fell", "heard", "fell"] == told(busy)


def test_the_message_has_its_arithmetic_and_says_what_to_look_at(busy: World) -> None:
    """How long, how many were to be expected, and how unlikely that is."""
    looks(busy, 15)
    (text,) = [t for t in busy.said() if "were to be expected" in t]

    assert "support-reply has had no call for" in text
    assert "luck in 1 in" in text
    assert "watch.environment" in text


def test_a_restart_forgets_neither_the_silence_nor_that_it_was_told(busy: World) -> None:
    """A process that is killed and started again at any moment says the same."""
    for minutes in (5, 19, 3, 3):
        looks(busy, minutes)
        busy.deps = replace(busy.deps, rhythms={}, elsewhere={})
        busy.pulse = tick.Pulse()

    assert ["fell"] == told(busy)


def test_calls_of_the_earlier_version_are_no_silence(busy: World) -> None:
    """Clients that cache the old pointer are another matter, which the ledger names."""
    busy.calls(busy.v1, 75, since=busy.clock.now() + SECOND, every=20 * SECOND)
    looks(busy, 25)
    assert [] == told(busy)

    looks(busy, 20)
    assert ["fell"] == told(busy)


def test_a_platform_that_cannot_be_read_is_no_silence_but_said_as_what_it_is(busy: World) -> None:
    """What was not read may have been called; the watch says that it holds, and when it goes on."""
    busy.platform.admin.inject_fault(
        Fault(answering=Answering.STATUS, status=503, path="*/execution-logs*", next_n=None)
    )
    busy.calls(busy.v2, 75, since=busy.clock.now() + SECOND, every=20 * SECOND)
    looks(busy, 24)
    assert [] == told(busy)
    assert 1 == sum("holds" in text and "503" in text for text in busy.said())

    busy.platform.faults.clear()
    looks(busy, 3)
    assert [] == told(busy)
    assert any("goes on" in text for text in busy.said())


def test_a_version_that_never_gets_a_call_is_told_of(tmp_path: Path) -> None:
    """Promoted, and since then nobody calls the prompt at all: the gateway may have been pointed elsewhere with it."""
    with called(tmp_path) as world:
        world.look()
        world.promote(world.v2)
        looks(world, 18)

        assert ["fell"] == told(world)
        assert "has had no call since its promotion" in "\n".join(world.said())


def test_a_quiet_prompt_is_left_alone(world: World) -> None:
    """A call every sixteen minutes or so may well be missing for an hour."""
    world.look()
    world.promote(world.v2)
    world.clock.move(MINUTE)
    world.look()
    world.clock.move(timedelta(minutes=50))
    world.look()

    assert [] == told(world)


def test_a_look_at_many_watches_is_cheap_while_they_are_called(busy: World) -> None:
    """The baseline is read only for those that are silent, and once."""
    assert {} == busy.deps.rhythms
    looks(busy, 13)
    kept = dict(busy.deps.rhythms)
    assert [busy.watch.id] == list(kept)
    silence.run(busy.deps, busy.clock.now())
    assert kept[busy.watch.id] is busy.deps.rhythms[busy.watch.id]
    busy.promote(busy.v1)
    looks(busy, 2)
    assert busy.watches()[1].id not in busy.deps.rhythms
