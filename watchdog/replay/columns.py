"""
The columns of a file of calls: their names, and which of a file's own columns stand for them.

A file need not have all of them. What can be judged is decided by what is there; what is not known is not guessed at,
and the user is told which columns were read and which were left alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING

from watchdog.replay.errors import ReplayError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

# In the order in which a row's cells are handed on. `time`, `t_unix` and `t_s` are three ways to say one thing, best
# first; so are the two latencies, which may not both be there.
FIELDS = (
    "time",
    "t_unix",
    "t_s",
    "stream",
    "version",
    "ok",
    "error",
    "latency_s",
    "latency_ms",
    "cost_usd",
    "prompt_tokens",
    "completion_tokens",
    "cached_tokens",
    "model",
    "segment",
)
TIMES = ("time", "t_unix", "t_s")
JUDGED = ("ok", "error", "latency_s", "latency_ms", "cost_usd")
_AT = {name: i for i, name in enumerate(FIELDS)}


def position(name: str) -> int:
    """Index of a field among a row's cells."""
    return _AT[name]


@dataclass(frozen=True, kw_only=True)
class Naming:
    """
    How the user names columns.

    Attributes:
        renamed: field -> the file's own column, where it has another name.
        segment: the file's column whose values are segments; empty for none.
    """

    renamed: Mapping[str, str] = field(default_factory=dict)
    segment: str = ""

    def source_of(self, name: str) -> str:
        """The file's own column for a field; empty where there can be none."""
        return self.segment if name == "segment" else self.renamed.get(name, name)

    @property
    def sources(self) -> tuple[str, ...]:
        """The file's own column for each of FIELDS."""
        return tuple(self.source_of(name) for name in FIELDS)

    def present(self, file: str, columns: Collection[str]) -> frozenset[str]:
        """
        Which fields the file has.

        Raises: ReplayError: a column that the user named is not there; both latencies; nothing that could be judged.
        """
        for name in (*self.renamed, "segment"):
            source = self.source_of(name)
            if source and source not in columns:
                raise ReplayError(f"{file}: {missing_column(source, columns)}")
        here = frozenset(name for name in FIELDS if self.source_of(name) in columns)
        # A field that the user named wins over the column that happens to bear its sibling's name.
        if {"latency_s", "latency_ms"} <= here:
            named = {"latency_s", "latency_ms"} & self.renamed.keys()
            if len(named) != 1:
                raise ReplayError(
                    f"{file}: has both latency_s and latency_ms; say which one to read, such as "
                    "--column latency_ms=latency_ms"
                )
            here -= {"latency_s", "latency_ms"} - named
        if not here & set(JUDGED):
            raise ReplayError(
                f"{file}: no column to judge; at least one of {', '.join(JUDGED)} is needed, and the file has "
                f"{listed(columns)}. Another name is given with, for example, --column ok=success"
            )
        return here


def naming(columns: Sequence[str], segment: str | None) -> Naming:
    """
    From the command line: `--column version=variant`, as often as needed, and `--segment task`.

    Raises: ReplayError: not of that form, or not a field.
    """
    allowed = [name for name in FIELDS if name != "segment"]
    renamed: dict[str, str] = {}
    for given in columns:
        name, equals, source = (part.strip() for part in given.partition("="))
        if not equals or not source:
            raise ReplayError(f"--column {given}: must be FIELD=COLUMN, such as version=variant")
        if name not in allowed:
            hint = " (use --segment COLUMN)" if name == "segment" else ""
            raise ReplayError(f"--column {given}: there is no field {name}{hint}; there are {', '.join(allowed)}")
        if name in renamed:
            raise ReplayError(f"--column {given}: {name} is already {renamed[name]}; keep one")
        renamed[name] = source
    if segment is not None and not segment.strip():
        raise ReplayError("--segment: must be the name of a column")
    return Naming(renamed=renamed, segment=(segment or "").strip())


def missing_column(source: str, columns: Collection[str]) -> str:
    """A sentence that says so, with the likeliest name that was meant."""
    close = get_close_matches(source, list(columns), n=1)
    meant = f"; did you mean {close[0]}?" if close else f"; the file has {listed(columns)}"
    return f"no column {source}{meant}"


def listed(names: Collection[str], most: int = 12) -> str:
    """`a, b, c and 4 more`."""
    shown = [name if len(name) <= 30 else f"{name[:29]}…" for name in list(names)[:most]]
    rest = len(names) - len(shown)
    return ", ".join(shown) + (f" and {rest:,} more" if rest else "") if shown else "none"
