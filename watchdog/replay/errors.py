"""The one error of this room, and the packages that only some files need."""

from __future__ import annotations

import importlib
from typing import Any

from watchdog.errors import WatchdogError


class ReplayError(WatchdogError):
    """The files, or what was asked of them, cannot be replayed; says which, where, and what to do."""


def optional(module: str, *, extra: str, purpose: str) -> Any:
    """
    A module of a package that is installed only when an extra was asked for.

    Args:
        extra: name of the extra of this distribution that brings it.
        purpose: what cannot be done without it, such as `reading Parquet`.

    Raises: ReplayError: it is not installed; says how to.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as exc:
        package = module.partition(".")[0]
        raise ReplayError(f"{purpose} needs {package}: pip install 'prompt-watchdog[{extra}]'") from exc
