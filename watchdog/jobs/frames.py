"""One frame for each of many: what goes wrong with one watch or incident must not unguard the others."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, TypeVar

from watchdog.errors import PlatformError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

log = logging.getLogger(__name__)

ItemT = TypeVar("ItemT")


def each(items: Iterable[ItemT], work: Callable[[ItemT], int], *, action: str) -> int:
    """
    Do the work for every item; a bug in one is logged with its traceback, and the next one has its turn.

    Returns: the sum of what the work returned.
    Raises: StoreError: at once, the database concerns all of them. PlatformError: the first one, after all had their
        turn.
    """
    done = 0
    failed: PlatformError | None = None
    for item in items:
        try:
            done += work(item)
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
