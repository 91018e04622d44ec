"""What is installed: this program and what its numbers are computed with."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

PROGRAM = "prompt-watchdog"


def version_of(distribution: str) -> str:
    """Its version; "unknown" in a folder that was never installed, which must keep nobody from guarding."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "unknown"
