"""A configuration that is read anew is taken over as a whole, or not at all; and people are told."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from tests.world import rule_set, success_rule
from watchdog.core.notice import Tone
from watchdog.errors import ConfigError, ConfigIssue, StoreUnusable
from watchdog.jobs import detect
from watchdog.jobs.deps import Policy
from watchdog.jobs.reload import Offer, Reloader
from watchdog.store import outbox

if TYPE_CHECKING:
    import pytest

    from tests.world import World
    from watchdog.core.notice import Notice


@dataclass
class Desk:
    """Hands out what the file says: an offer, or an error."""

    says: list[Offer | Exception]
    accepted: list[bool] = field(default_factory=list)

    def read(self) -> Offer:
        said = self.says.pop(0)
        if isinstance(said, Exception):
            raise said
        return said

    def accept(self) -> None:
        self.accepted.append(True)


def offer(world: World, *changes: str, needs_restart: tuple[str, ...] = ()) -> Offer:
    return Offer(
        file="config.toml",
        policy=Policy(rules=rule_set(success_rule(margin_abs=0.2)), terms=replace(world.terms, prompts=("b-*",))),
        changes=changes,
        needs_restart=needs_restart,
    )


def broken(message: str = "must be a duration") -> ConfigError:
    issue = ConfigIssue(file="config.toml", line=3, column=1, key="watch.tick", message=message, source='tick = "30"')
    return ConfigError((issue,))


def told(world: World) -> list[Notice]:
    with world.store.read() as connection:
        return [parcel.notice for parcel in outbox.parcels(connection)]


def test_a_valid_configuration_is_in_force_at_once(world: World) -> None:
    """Rules and terms together, and whoever asks next is answered from them."""
    desk = Desk([offer(world, "rule success changed")])

    assert Reloader(world.deps, desk.read, desk.accept).run()

    assert 0.2 == world.deps.rules_for("b-one").rules[0].margin_abs
    assert ("b-*",) == world.deps.terms.prompts
    assert [True] == desk.accepted


def test_a_reload_is_announced_for_the_record(world: World) -> None:
    """How much changed, and what."""
    desk = Desk([offer(world, "rule success changed", "watch.prompts")])

    Reloader(world.deps, desk.read, desk.accept).run()

    (notice,) = told(world)
    assert (Tone.QUIET, "Rules reloaded: 2 changed") == (notice.tone, notice.headline)
    assert "Taken over: rule success changed; watch.prompts." == notice.step


def test_what_cannot_be_taken_over_is_named(world: World) -> None:
    """A change that quietly does nothing is the worst answer."""
    desk = Desk([offer(world, needs_restart=("platform.url", "slack.channel"))])

    Reloader(world.deps, desk.read, desk.accept).run()

    (notice,) = told(world)
    assert "platform.url, slack.channel need a restart, and stay as they were until then." == notice.step


def test_a_reload_without_a_change_says_nothing(world: World) -> None:
    """A line in the log is enough."""
    desk = Desk([offer(world)])

    assert Reloader(world.deps, desk.read, desk.accept).run()

    assert [] == told(world)


def test_with_an_error_the_standing_rules_stay(world: World) -> None:
    """All of them, and the very same object."""
    before = world.deps.policy

    assert not Reloader(world.deps, Desk([broken()]).read).run()

    assert before is world.deps.policy


def test_an_error_is_an_alert_with_its_place(world: World) -> None:
    """File, line and column, and what to do next."""
    Reloader(world.deps, Desk([broken()]).read).run()

    (notice,) = told(world)
    assert Tone.ALARM is notice.tone
    assert "The configuration was NOT reloaded: 1 problem" == notice.headline
    assert ("config.toml:3:1: watch.tick: must be a duration",) == notice.evidence
    assert notice.step.endswith("Mend the file, run `promptwatch check`, and send SIGHUP again.")


def test_the_same_error_is_announced_once(world: World) -> None:
    """However often the signal is sent; another error is news."""
    reloader = Reloader(world.deps, Desk([broken(), broken(), broken("is unknown")]).read)

    for _ in range(3):
        world.clock.move(timedelta(seconds=1))
        reloader.run()

    assert ["must be a duration", "is unknown"] == [notice.evidence[0].split("tick: ")[1] for notice in told(world)]


def test_the_same_error_after_a_good_reload_is_news_again(world: World) -> None:
    """It was mended in between, and broken anew."""
    reloader = Reloader(world.deps, Desk([broken(), offer(world), broken()]).read)

    for _ in range(3):
        world.clock.move(timedelta(seconds=1))
        reloader.run()

    tones = [notice.tone for notice in told(world)]
    assert [Tone.ALARM, Tone.GOOD, Tone.ALARM] == tones


def test_a_mended_configuration_is_said_in_the_thread_of_the_error(world: World) -> None:
    """Who read the alarm learns that it is over, though no rule changed."""
    reloader = Reloader(world.deps, Desk([broken(), offer(world)]).read)

    reloader.run()
    reloader.run()

    alarm, mended = told(world)
    assert alarm.thread == mended.thread
    assert "It is valid again." == mended.step


def test_many_errors_are_not_a_screenful(world: World) -> None:
    """The first five are listed, and where the rest is."""
    (one,) = broken().issues
    many = ConfigError(tuple(replace(one, line=n) for n in range(1, 9)))

    Reloader(world.deps, Desk([many]).read).run()

    (notice,) = told(world)
    assert 5 == len(notice.evidence)
    assert "The first 5 are listed; `promptwatch check` says all." in notice.step


def test_a_bug_in_reading_ends_nothing(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, and the rules stay."""
    before = world.deps.policy

    with caplog.at_level(logging.CRITICAL, logger="watchdog.jobs.reload"):
        assert not Reloader(world.deps, Desk([ZeroDivisionError()]).read).run()

    assert before is world.deps.policy


def test_a_database_that_is_down_takes_no_rule_back(world: World) -> None:
    """The swap stands; only its announcement is lost."""

    class Down:
        def write(self) -> None:
            raise StoreUnusable("the disk is full")

    deps = replace(world.deps, store=Down())  # type: ignore[arg-type]
    desk = Desk([offer(world, "rule success changed")])

    assert Reloader(deps, desk.read, desk.accept).run()

    assert 0.2 == deps.policy.rules.rules[0].margin_abs


def test_a_promotion_after_the_swap_is_watched_by_the_rules_for_its_prompt(world: World) -> None:
    """Of the override that matches, under the terms that were swapped with it."""
    world.tick()
    own = rule_set(success_rule(margin_abs=0.3))
    own = replace(own, digest="own")
    terms = replace(world.terms, length=timedelta(hours=2))
    policy = Policy(rules=world.rules, terms=terms, overrides=(("other-*", world.rules), ("*", own)))
    desk = Desk([Offer(file="config.toml", policy=policy, changes=("rules for *",), needs_restart=())])
    Reloader(world.deps, desk.read, desk.accept).run()

    world.promote(world.v2)
    detect.run(world.deps, world.clock.now())

    assert ("own", 720) == (world.watch.rules_digest, world.watch.n_windows)
