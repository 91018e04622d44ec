"""An incident: one bad promotion, its rollback, and whether the numbers came back."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from typing import Any

    from watchdog.core.rollback import Saga, SagaState
    from watchdog.core.windows import Summary


class Recovery(Enum):
    """Whether the restored version's new calls look like the baseline again. All but the first two are endings."""

    PENDING = "pending"  # the rollback is not done
    VERIFYING = "verifying"
    RECOVERED = "recovered"
    UPSTREAM_SUSPECTED = "upstream_suspected"  # still worse: the fault is upstream of the prompt
    UNVERIFIED = "unverified"  # too few calls before the deadline
    VOID = "void"  # there was no revert, or it was an undo, or somebody moved the pointer meanwhile


@dataclass(frozen=True, kw_only=True)
class Incident:
    """
    Attributes:
        saga: the rollback.
        token: fencing token; every write names the one it read.
        next_at: nothing is to be done before.
        tripped: the readings of the rules that tripped, as they were saved with the verdict.
        changes: what the diff changed, likeliest culprit first; empty when it could not be read.
        compare_url: empty where the platform has no such page.
        audit_id: the platform's audit entry of our revert; empty until it was seen.
        recovery_until: deadline of the verification; None before the rollback is done.
        restored: the restored version's calls since the revert, merged.
        fleet: id of the incident with which an outage of many prompts began, when this one is held for it; empty
            otherwise.
        asked_by: who approved it, or asked for the undo; empty where no person did.
        intended_at: when the last intent was written; None before the first.
        guard: short name of the guard that holds it, or held it last; empty where none did.
        tripped_at: when it was opened, by the platform's clock; None for an undo.
        begun_at: when the last intent was written that no person asked for, by the platform's clock; None before the
            first.
    """

    saga: Saga
    watch_id: str
    prompt_slug: str
    token: int
    next_at: datetime
    tripped: tuple[Mapping[str, Any], ...]
    changes: tuple[str, ...]
    compare_url: str
    audit_id: str
    recovery: Recovery
    recovery_reason: str
    recovery_until: datetime | None
    restored: Summary
    opened_at: datetime
    closed_at: datetime | None
    config_digest: str
    fleet: str = ""
    asked_by: str = ""
    intended_at: datetime | None = None
    guard: str = ""
    tripped_at: datetime | None = None
    begun_at: datetime | None = None

    @property
    def thread(self) -> str:
        """In which people are told of it: an undo goes on in the thread of what it undoes."""
        return self.saga.undo_of or self.saga.id

    @property
    def id(self) -> str:
        return self.saga.id

    @property
    def state(self) -> SagaState:
        return self.saga.state
