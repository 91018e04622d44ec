"""Whatever Hypothesis lets happen, every invariant holds after each step; a daemon that is broken is found out."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.simulation.invariants import standing
from tests.simulation.machine import Organisation
from tests.simulation.people import KINDS
from watchdog.core.rollback import MOVING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from watchdog.jobs.deps import Deps

pytestmark = pytest.mark.simulation

# A cut of `make battery`. Always the same stories: who wants others raises the number.
_SMALL = settings(
    max_examples=8,
    stateful_step_count=25,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def test_every_invariant_holds_whatever_happens():
    """Should it fail, Hypothesis prints the steps, and the same test does them again."""
    Organisation.steps = 0
    run_state_machine_as_test(Organisation, settings=_SMALL)

    assert Organisation.steps > 100


class BlindToTheSwitch(Organisation):
    """Nobody asks whether the switch is thrown."""

    def wrap(self, deps: Deps) -> Deps:
        return replace(deps, thrown=tuple)


@pytest.mark.parametrize("machine", [Organisation, BlindToTheSwitch])
def test_a_daemon_that_does_not_ask_for_the_switch_is_found_out(machine):
    """Or the machine would find nothing: harm is found, the switch thrown, and the daemon acts."""
    story = machine()
    try:
        story.adopt()
        story.promote(0, KINDS[1])
        for _ in range(20):
            story.look(times=6, every_s=30)
            if any(i.state in MOVING for i in standing(story.sim, story.sim.store).incidents.values()):
                break
        story.throw_or_take_back_the_switch()
        story.act(times=2, every_s=10)

        if machine is Organisation:
            story.all_is_as_it_must_be()
        else:
            with pytest.raises(AssertionError, match="the switch was thrown"):
                story.all_is_as_it_must_be()
    finally:
        story.close()
