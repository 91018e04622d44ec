"""
TOML and environment become frozen settings.

`load.load_settings` reads a configuration file, `packs.load_rules` rule packs alone, `check.check` describes what was
read. Whatever is wrong is reported at once, each issue with file, line, column, key and what is allowed.
"""

from __future__ import annotations
