"""What the ledger of a watch is made from: the journal, the intake, the control's pace, the same hours a week ago."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from watchdog.core import ledger
from watchdog.core.circumstances import Circumstances, Silence, pace_of
from watchdog.core.ledger import Nearby
from watchdog.core.windows import BLOCK
from watchdog.jobs import hours
from watchdog.store import intakes, journal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from watchdog.core.circumstances import Pace
    from watchdog.core.judge import Progress
    from watchdog.core.judgement import Judgement
    from watchdog.core.ledger import Entry
    from watchdog.core.panel import Panel
    from watchdog.core.watch import Watch
    from watchdog.core.windows import Summary
    from watchdog.jobs.deps import Deps
    from watchdog.store.watches import Baseline

# Whatever else is released together (an application, a provider's key, a batch of prompts) is so within this time.
AROUND = timedelta(minutes=15)


def pace_of_blocks(baseline: Baseline | None, blocks: Sequence[tuple[datetime, Summary]]) -> Pace | None:
    """How often the control was called, from its blocks."""
    if baseline is None:
        return None
    starts = [start for start, block in blocks if block.calls]
    since, until = baseline.from_at, baseline.until_at
    return pace_of(starts, since=since, until=until, calls=baseline.summary.calls, width=BLOCK)


def surrounded(deps: Deps, connection: Connection, watch: Watch, panel: Panel, sealed_until: datetime) -> Panel:
    """The panel with what is known beside the calls, as of this look."""
    silences: tuple[Silence, ...] = ()
    if panel.pace is not None and watch.first_call_at is not None:
        found = intakes.silences(
            connection, watch.id, since=watch.first_call_at, until=sealed_until, at_least=panel.pace.unusual
        )
        silences = tuple(Silence(since=since, until=until) for since, until in found)
    around = Circumstances(
        control_model=watch.control_model,
        candidate_model=watch.candidate_model,
        pace=panel.pace,
        silences=silences,
        week=hours.week_of(deps, connection, watch),
    )
    return replace(panel, around=around)


def keep_books(
    connection: Connection,
    watch: Watch,
    panel: Panel,
    progress: Progress,
    judgement: Judgement,
    intake: intakes.Intake,
) -> tuple[Entry, ...]:
    """The ledger as of this look."""
    at = watch.promotion.at
    nearby = journal.promoted_between(connection, at - AROUND, at + AROUND, but=watch.prompt_id)
    return ledger.entries(
        panel,
        progress,
        judgement,
        promoted_at=at,
        nearby=[Nearby(slug=slug, promotion=promotion) for slug, promotion in nearby],
        other_versions=intake.other_versions,
    )
