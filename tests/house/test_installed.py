"""Which versions are installed, as packets and `--version` say it."""

from __future__ import annotations

from importlib.metadata import version

from watchdog.installed import PROGRAM, version_of


def test_what_is_not_installed_has_no_version_and_stops_nobody() -> None:
    """A folder that was never installed guards all the same."""
    assert "unknown" == version_of("a-distribution-that-nobody-has")
    assert version(PROGRAM) == version_of(PROGRAM)
