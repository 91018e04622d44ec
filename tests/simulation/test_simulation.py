"""Prompt-years of an organisation with its people, outages, storms, deaths and clocks; and the checks have teeth."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta

import pytest
from scipy.stats import binom

from tests.simulation import invariants
from tests.simulation.invariants import Aftermath, aftermath, violations
from tests.simulation.people import KINDS
from tests.simulation.simulation import Setting, Simulation
from watchdog.core.guards import Limits
from watchdog.core.rollback import SagaState

pytestmark = pytest.mark.simulation

# Everything that is released fails, and more often than not something else goes wrong as well.
_SHORT = Setting(
    seed=1, prompts=3, days=3.8, every=timedelta(days=1), trouble=0.5, kinds=(replace(KINDS[1], share=1.0),)
)


def test_in_ten_prompt_years_every_invariant_holds():
    """From one seed; should it fail, the same command without `--json` says how to see the story again."""
    command = (sys.executable, "-m", "tests.simulation", "--seed", "20261120", "--prompt-years", "10", "--every", "120")
    ended = subprocess.run([*command, "--json"], capture_output=True, text=True, timeout=1500, check=False)

    assert "" == ended.stderr
    told = json.loads(ended.stdout)
    counted = told["counted"]
    assert [] == told["found"]
    # It lived through something.
    assert counted["reverts"] >= 2
    assert counted["faults"] >= 20
    assert counted["deaths"] >= 1
    harmless = counted["releases"] - counted.get("of them harmful", 0)
    # The default pack spends at most 0.5 % on a promotion; so many by chance in one of ten thousand runs at most.
    assert counted.get("harmless ones reverted", 0) <= binom.ppf(0.9999, harmless, 0.005)


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Aftermath:
    """A short story in which the daemon had to act, and everything held."""
    simulation = Simulation(_SHORT, tmp_path_factory.mktemp("story"))
    simulation.run()
    after = aftermath(simulation)
    assert [] == violations(after)
    assert after.own
    return after


def test_the_same_seed_tells_the_same_story(lived, tmp_path):
    """Or a failure could not be seen again."""
    again = Simulation(_SHORT, tmp_path)
    again.run()

    assert lived.simulation.platform.log == again.platform.log
    assert lived.simulation.slack.messages == again.slack.messages


def test_what_must_hold_is_seen_when_it_does_not(lived, monkeypatch):
    """Each record of the story is falsified by itself, and the invariant that it breaks says so."""
    simulation = lived.simulation
    first = lived.own[0]
    log, i = list(simulation.platform.log), simulation.platform.log.index(first)
    bob = replace(log[i - 1], promotion=replace(log[i - 1].promotion, id="aud_bob", to_version_id="v9"))
    logs = {
        "one_promotion_an_incident": [*log, replace(first, promotion=replace(first.promotion, id="aud_x"))],
        "only_what_was_looked_at_just_before": [*log[:i], replace(first, seen="aud_x"), *log[i + 1 :]],
        "a_human_who_was_gone_over_is_told": [*log[:i], bob, *log[i:]],
        "targets_are_good": [
            *log[:i],
            replace(first, promotion=replace(first.promotion, to_version_id="v9")),
            *log[i + 1 :],
        ],
    }
    for invariant, falsified in logs.items():
        with monkeypatch.context() as patched:
            patched.setattr(simulation.platform, "log", falsified)
            assert invariant in _broken(lived)
    told = simulation.slack.messages
    for falsified in ([*told, told[0]], told[1:]):
        with monkeypatch.context() as patched:
            patched.setattr(simulation.slack, "messages", falsified)
            assert {"everybody_was_told_once"} == _broken(lived)
    with monkeypatch.context() as patched:
        patched.setattr(simulation, "terms", replace(simulation.terms, limits=Limits(per_hour=0)))
        assert {"no_more_than_the_guards_allow"} == _broken(lived)
    counted = replace(lived.watches[0].candidate, calls=lived.watches[0].candidate.calls + 1)
    once_more = replace(lived, watches=(replace(lived.watches[0], candidate=counted), *lived.watches[1:]))
    assert {"no_call_was_counted_twice"} == _broken(once_more)
    # The daemon was quick: hardly anybody called what it took off production.
    monkeypatch.setattr(invariants, "_ENOUGH_CALLS", 3)
    assert "severe_harm_was_found" in _broken(replace(lived, incidents={}))
    stuck = {k: replace(v, saga=replace(v.saga, state=SagaState.SENDING)) for k, v in lived.incidents.items()}
    assert "everything_came_to_an_end" in _broken(replace(lived, incidents=stuck))


def _broken(after: Aftermath) -> set[str]:
    return {what.split(":")[0] for what in violations(after)}
