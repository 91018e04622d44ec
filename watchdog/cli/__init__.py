"""The command line. It composes the parts, prints, and turns errors into exit statuses; it decides nothing."""

from __future__ import annotations

from watchdog.cli.app import main

__all__ = ["main"]
