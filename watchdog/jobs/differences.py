"""What the diff of a watch's two versions says, ranked by what is known of what went wrong."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from watchdog.core.culprit import symptoms
from watchdog.core.diff import changes
from watchdog.errors import PlatformError
from watchdog.store import watches

if TYPE_CHECKING:
    from watchdog.core.clusters import Report
    from watchdog.core.rules import Metric
    from watchdog.core.watch import Watch
    from watchdog.core.windows import Summary
    from watchdog.jobs.deps import Deps

log = logging.getLogger(__name__)


def between(
    deps: Deps, watch: Watch, suspect: Metric, candidate: Summary, report: Report | None = None
) -> tuple[str, ...] | None:
    """
    The changes, one line each; None where the versions cannot be read, which delays nothing.

    Args:
        candidate: the bad version's calls so far.
        report: what its failing calls looked like, where that is known.
    """
    good, bad = watch.control_version_id, watch.candidate_version_id
    if good is None:
        return ()
    try:
        by_id = {v.id: v for v in deps.platform.versions(watch.prompt_id)}
    except PlatformError as exc:
        log.warning("the diff could not be read", extra={"action": "diff_failed", "why": str(exc)})
        return None
    if good not in by_id or bad not in by_id:
        return None
    with deps.store.read() as connection:
        baseline = watches.find_baseline(connection, watch.id)
    found = symptoms(suspect, candidate, baseline.summary if baseline else None, report)
    return tuple(change.sentence for change in changes(by_id[good], by_id[bad], suspect, found))
