"""The kill switch that needs no database and no daemon that listens: a file, and a variable of the environment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from watchdog.core.holds import Source, Thrown

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

VARIABLE = "PROMPTWATCH_HOLD"
# What is shown of a reason.
_LONGEST = 200


@dataclass(frozen=True, kw_only=True)
class KillSwitch:
    """
    Attributes:
        file: everything is on hold while it is there; None for no such file.
    """

    file: Path | None
    env: Mapping[str, str]

    def thrown(self) -> tuple[Thrown, ...]:
        """As it is at this moment."""
        found = []
        if self.env.get(VARIABLE, ""):
            found.append(Thrown(source=Source.ENVIRONMENT, where=f"${VARIABLE}", why=_line(self.env[VARIABLE])))
        if self.file is not None and (why := _first_line(self.file)) is not None:
            found.append(Thrown(source=Source.FILE, where=f"the file {self.file}", why=why))
        return tuple(found)


def _first_line(file: Path) -> str | None:
    """None where there is no such file; one that is there and cannot be read holds as well."""
    try:
        with file.open(encoding="utf-8", errors="replace") as opened:
            return _line(opened.readline(4 * _LONGEST))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as exc:
        return f"it cannot be read ({exc.strerror})"


def _line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:_LONGEST]
