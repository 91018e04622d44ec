"""One frame for each of many: what goes wrong with one watch or incident must not unguard the others."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, TypeVar

from watchdog.errors import ClaimLost, PlatformError, StoreError
from watchdog.store.claims import prompt_item

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from watchdog.jobs.deps import Deps

log = logging.getLogger(__name__)

ItemT = TypeVar("ItemT")


def each(items: Iterable[ItemT], work: Callable[[ItemT], int], *, action: str) -> int:
    """
    Do the work for every item; a bug in one is logged with its traceback, and the next one has its turn. One that is
    another replica's by now is its business.

    Returns: the sum of what the work returned.
    Raises: StoreError: at once, the database concerns all of them. PlatformError: the first one, after all had their
        turn.
    """
    done = 0
    failed: PlatformError | None = None
    for item in items:
        try:
            done += work(item)
        except ClaimLost as exc:
            _tell_lost(exc)
        except StoreError:
            raise
        except PlatformError as exc:
            failed = failed or exc
        except Exception:
            log.exception(
                "one of several failed unexpectedly", extra={"action": action, "item": getattr(item, "id", "")}
            )
    if failed is not None:
        raise failed
    return done


def each_of_ours(
    deps: Deps, items: Iterable[ItemT], prompt_of: Callable[[ItemT], str], work: Callable[[ItemT], int], *, action: str
) -> int:
    """Like `each`, for those whose prompt is claimed by this replica; every write of the work is checked."""

    def claimed(item: ItemT) -> int:
        with deps.claims.on(prompt_item(prompt_of(item))):
            return work(item)

    mine = [item for item in items if deps.claims.ours(prompt_item(prompt_of(item)))]
    return each(mine, claimed, action=action)


def if_ours(deps: Deps, item: str, work: Callable[[], int]) -> int:
    """A piece of work as a whole, where it is claimed by this replica; else 0."""
    if not deps.claims.ours(item):
        return 0
    try:
        with deps.claims.on(item):
            return work()
    except ClaimLost as exc:
        _tell_lost(exc)
        return 0


def _tell_lost(exc: ClaimLost) -> None:
    log.info("left to another replica", extra={"action": "claim_left", "why": str(exc)})
