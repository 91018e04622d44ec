"""
Tell a dead man's switch that the watchdog lives, so that somebody outside raises the alarm when it does not.

Only ticks that completed are told of: a process whose looks hang must not claim to live.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from watchdog.jobs.deps import Deps
    from watchdog.jobs.tick import Pulse

log = logging.getLogger(__name__)


class Heartbeat:
    """Presses the switch of the daemon; kept by the one thread that does so."""

    def __init__(self, deps: Deps, pulse: Pulse) -> None:
        self._deps = deps
        self._pulse = pulse
        self._told = 0
        self._failing = ""

    def run(self) -> int:
        """
        Press, if a tick has completed since the last time that was heard.

        Returns: 0: there is never more to do at once.
        """
        completed = self._pulse.completed
        switch = self._deps.dead_mans_switch
        if switch is None or completed == self._told:
            return 0
        problem = switch.press()
        if not problem:
            self._told = completed
            if self._failing:
                log.info("the heartbeat is heard again", extra={"action": "heartbeat_heard"})
        elif not self._failing:
            # Once for each spell: whoever listens there raises the alarm, and nothing here depends on it.
            log.warning(
                "the heartbeat was not heard; nothing else depends on it",
                extra={"action": "heartbeat_failed", "why": problem},
            )
        self._failing = problem
        return 0
