"""Finding the configuration and the database that a command is about."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from watchdog.cli.exits import USAGE, stop
from watchdog.config.urls import store_address
from watchdog.store.database import Store

if TYPE_CHECKING:
    from watchdog.config.settings import Settings

DEFAULT_CONFIG = Path("config.toml")


def settings_or_none(config: Path | None) -> Settings | None:
    """
    The settings of the named file, else of ./config.toml; None when neither was given nor is there.

    Raises: ConfigError.
    """
    if config is None:
        if not DEFAULT_CONFIG.exists():
            return None
        config = DEFAULT_CONFIG
    from watchdog.config.load import load_settings

    return load_settings(config, os.environ)


def required_settings(config: Path | None) -> Settings:
    """Like `settings_or_none`, for commands that cannot do without."""
    settings = settings_or_none(config)
    if settings is None:
        stop(
            USAGE,
            f"no {DEFAULT_CONFIG} here; name one with --config, or copy config.example.toml to {DEFAULT_CONFIG} and "
            "fill in two lines",
        )
    return settings


def store_to_read(config: Path | None, store: str | None, *, read_only: bool = True) -> Store:
    """
    The daemon's database; SQLite that nobody has written yet is not made.

    Raises: ConfigError, StoreUnusable.
    """
    if store is not None:
        url = _given(store)
    elif (settings := settings_or_none(config)) is not None:
        url = settings.store.read_url(os.environ)
    else:
        stop(USAGE, f"no {DEFAULT_CONFIG} here; name one with --config, or the daemon's database with --store")
    looking = Store(url, read_only=url.startswith("sqlite"))
    if read_only:
        return looking
    looking.close()
    return Store(url)


def _given(store: str) -> str:
    try:
        return store_address(store, Path.cwd())
    except ValueError as exc:
        # The address is not repeated: it may hold a password.
        stop(USAGE, f"--store: {exc}; such as sqlite:///promptwatch.db or postgresql://user@host/name")
