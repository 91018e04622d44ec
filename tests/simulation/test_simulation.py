"""Prompt-years of an organisation with its people, outages, storms, deaths and clocks; and the checks have teeth."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from scipy.stats import binom

from tests.simulation.__main__ import story
from tests.simulation.simulation import Setting
from watchdog.core import rollback
from watchdog.core.rollback import Send

if TYPE_CHECKING:
    from watchdog.core.notice import Notice
    from watchdog.jobs.deps import Deps
    from watchdog.notify.protocol import Posted

pytestmark = pytest.mark.simulation

# Harmful or not, something else goes wrong around every release: what a broken line lets through shows soon.
_ROUGH = Setting(seed=4, prompts=4, days=25.0, every=timedelta(days=4), trouble=1.0)


def test_in_ten_prompt_years_every_invariant_holds():
    """From one seed; should it fail, the same command without `--json` says how to see the story again."""
    command = (sys.executable, "-m", "tests.simulation", "--seed", "20261120", "--prompt-years", "10", "--every", "120")
    ended = subprocess.run([*command, "--json"], capture_output=True, text=True, timeout=1500, check=False)

    assert "" == ended.stderr
    told = json.loads(ended.stdout)
    counted = told["counted"]
    assert [] == told["found"]
    assert counted["reverts"] >= 5
    assert counted["faults"] >= 50
    assert counted["deaths"] >= 5
    harmless = counted["releases"] - counted["of them harmful"]
    # The default pack spends at most 0.5 % on a promotion; so many by chance in one of ten thousand runs at most.
    assert counted["harmless ones reverted"] <= binom.ppf(0.9999, harmless, 0.005)


def test_the_same_seed_tells_the_same_story():
    """Or a failure could not be seen again."""
    short = replace(_ROUGH, days=12.0)

    assert story(short) == story(short)


def test_a_daemon_that_does_not_look_before_it_sends_is_caught(monkeypatch):
    """It sends whatever has happened since the verdict."""
    monkeypatch.setattr(rollback, "_before_sending", lambda saga, sight: Send(attempt=saga.attempt + 1))  # noqa: ARG005

    assert {"only_what_was_looked_at_just_before"} <= _broken(_ROUGH)


def test_a_daemon_that_does_not_wait_for_what_may_be_applied_late_is_caught():
    """No answer is taken for not applied, and it is sent again at once."""

    def hasty(deps: Deps) -> Deps:
        policy = deps.standing.policy
        deps.standing.policy = replace(policy, terms=replace(policy.terms, settle=timedelta(0)))
        return deps

    assert "one_promotion_an_incident" in _broken(replace(_ROUGH, wrap=hasty))


def test_a_messenger_that_does_not_look_before_it_posts_again_is_caught():
    """What may have arrived is posted once more."""

    class Forgetful:
        def __init__(self, notifier: Any) -> None:
            self._notifier = notifier

        def deliver(self, notice: Notice, *, root: Posted | None, maybe_sent: bool) -> Posted:  # noqa: ARG002
            posted: Posted = self._notifier.deliver(notice, root=root, maybe_sent=False)
            return posted

        def __getattr__(self, name: str) -> Any:
            return getattr(self._notifier, name)

    wrapped = replace(_ROUGH, wrap=lambda deps: replace(deps, notifier=Forgetful(deps.notifier)))

    assert "everybody_was_told_once" in _broken(wrapped)


def _broken(setting: Setting) -> set[str]:
    found, _ = story(setting)
    return {what.split(":")[0] for what in found}
