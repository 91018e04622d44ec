"""A cut of each part of the battery, and that its checks have teeth; `python -m tests.faults` plays all of it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.faults import late
from tests.faults.between import Trouble
from tests.faults.http_matrix import Plan, play
from tests.faults.invariants import Expected, own, tripped_roots, violations
from tests.faults.parts import PARTS
from tests.faults.story import Story, over

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.simulation
# What a cut is drawn from; the whole of each part stands in docs/safety.md.
_SEED = 7
# Each once more in every run, because most depends on them.
_ALWAYS_PLAYED = (
    Plan(endpoint="promote", trouble=Trouble.DROP_AFTER, times="twice"),
    Plan(endpoint="promote", trouble=Trouble.ERROR_BEFORE, times="always"),
    Plan(endpoint="audit log of the prompt", trouble=Trouble.STALE, times="always"),
    Plan(endpoint="calls, page n", trouble=Trouble.REPEAT, times="always"),
)


def wrong(part: str, count: int) -> list[str]:
    """What did not hold in so many stories of a part, each with its name, by which the command plays it again."""
    return [f"{cell.name}: {what}" for cell in PARTS[part](_SEED, count) for what in cell.run().violations]


@pytest.mark.parametrize("planned", _ALWAYS_PLAYED, ids=[p.name for p in _ALWAYS_PLAYED])
def test_whatever_a_call_does_there_is_one_revert_or_a_human_is_called(tmp_path: Path, planned: Plan) -> None:
    """By the platform's log, and with one thread that ends with the right word."""
    outcome = play(tmp_path, (planned,))

    assert [] == outcome.violations
    assert outcome.counted["troubles met"]


@pytest.mark.parametrize(
    ("part", "count"),
    [("http", 2), ("pairs", 1), ("slack", 2), ("tcp", 1), ("late", 2), ("human", 2), ("clock", 1), ("disk", 2)],
)
def test_a_cut_of_the_battery_holds(part: str, count: int) -> None:
    """Drawn from a seed; the name of what did not hold plays it again."""
    assert [] == wrong(part, count)


@pytest.mark.crash
@pytest.mark.acceptance
def test_the_real_daemon_killed_near_what_it_does_ends_as_if_nothing_had_happened() -> None:
    """Real processes; told by the platform's log and by Slack."""
    assert [] == wrong("kill", 1)


def test_without_settle_a_request_that_is_applied_late_is_made_twice() -> None:
    """The battery has teeth: the same stories, which hold with it."""
    without = [cell.run().violations for cell in late.cells(_SEED, 3, settle=timedelta(0))]

    assert any("2 promotions by the watchdog" in found for found in without)


def test_a_story_that_is_falsified_is_noticed(tmp_path: Path) -> None:
    """A second promotion with our token and note, a thread that is gone, and calls that the platform never had."""
    with Story(tmp_path) as story:
        story.promote()
        assert story.play(over)
        assert [] == violations(story, Expected())
        entry = own(story)[0]
        httpx.post(
            f"{story.world.platform.base_url}/api/v1/prompts/{story.world.prompt_id}/versions/{story.world.v1}/promote",
            json={"reason": entry["metadata"]["reason"], "revertOf": entry["metadata"]["revertOf"]},
            headers={"authorization": f"Bearer {story.world.token}"},
            trust_env=False,
        ).raise_for_status()
        assert ["2 promotions by the watchdog"] == violations(story, Expected())

        story.world.slack.delete(tripped_roots(story)[0].ts)
        assert any("0 threads in Slack" in what for what in violations(story, Expected()))
