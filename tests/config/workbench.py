"""Configurations and packs in a folder of their own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from watchdog.config.load import load_settings
from watchdog.errors import ConfigError, ConfigIssue

if TYPE_CHECKING:
    from pathlib import Path

    from watchdog.config.settings import Settings

TOKEN = "phk_0123456789abcdef0123456789abcdef"
PLATFORM = """\
[platform]
url = "https://api.prompthelm.app"
token = "env:PROMPTHELM_TOKEN"
"""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Writes configurations and packs, and loads them."""

    folder: Path
    env: dict[str, str] = field(default_factory=lambda: {"PROMPTHELM_TOKEN": TOKEN})

    @property
    def config(self) -> Path:
        return self.folder / "promptwatch.toml"

    def write(self, text: str, name: str = "promptwatch.toml") -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="")
        return path

    def load(self, text: str) -> Settings:
        return load_settings(self.write(text), self.env)

    def issues(self, text: str) -> tuple[ConfigIssue, ...]:
        with pytest.raises(ConfigError) as caught:
            self.load(text)
        return caught.value.issues

    def issue(self, text: str) -> ConfigIssue:
        """The only issue of the text."""
        (issue,) = self.issues(text)
        return issue


def switched_on(text: str) -> str:
    """The example with every line in force that it shows in a comment."""
    lines = []
    for line in text.splitlines():
        body = line.removeprefix("# ")
        shown = body != line and (body.startswith("[") or (" = " in body and body[0].isalpha()))
        # One way into Slack, and one database, at a time.
        other_way = body.startswith(("webhook", 'url = "env:'))
        lines.append(body if shown and not other_way else line)
    return "\n".join(lines)
