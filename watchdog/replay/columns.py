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
        renamed: field -> the file's own column, where it has another name; empty for a field that is not to be read.
        segment: the file's column whose values are segments; empty for none.
    """

    renamed: Mapping[str, str] = field(default_factory=dict)
    segment: str = ""

    def source_of(self, name: str) -> str:
        """The file's own column for a field; empty where there can be none."""
        if name == "segment":
            return self.segment
        if name in self.renamed:
            return self.renamed[name]
        # A column that the user named for one field does not stand for its namesake as well.
        return "" if name in self.renamed.values() else name

    @property
    def sources(self) -> tuple[str | None, ...]:
        """The file's own column for each of FIELDS; None where there can be none."""
        return tuple(self.source_of(name) or None for name in FIELDS)

    def present(self, file: str, columns: Collection[str]) -> frozenset[str]:
        """
        Which fields the file has.

        Raises: ReplayError: a column that the user named is not there; both latencies; nothing that could be judged.
        """
        for name in (*self.renamed, "segment"):
            source = self.source_of(name)
            if source and source not in columns:
                raise ReplayError(f"{file}: {missing_column(source, columns)}")
        # A data frame's index is a column without a name, and no field.
        here = frozenset(name for name, source in zip(FIELDS, self.sources, strict=True) if source in columns)
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
            meant = [way for way in otherwise_spelt(here, columns) if way.split()[1].partition("=")[0] in JUDGED]
            example = meant[0] if meant else "--column ok=success"
            raise ReplayError(
                f"{file}: no column to judge; at least one of {', '.join(JUDGED)} is needed, and the file has "
                f"{listed(columns)}. Another name is given with, for example, {example}"
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
        if not equals:
            raise ReplayError(
                f"--column {given}: must be FIELD=COLUMN, such as version=variant (or FIELD= not to read it)"
            )
        if name not in allowed:
            hint = " (use --segment COLUMN)" if name == "segment" else ""
            raise ReplayError(f"--column {given}: there is no field {name}{hint}; there are {', '.join(allowed)}")
        if name in renamed:
            raise ReplayError(f"--column {given}: {name} is already {renamed[name] or 'not to be read'}; keep one")
        renamed[name] = source
    if segment is not None and not segment.strip():
        raise ReplayError("--segment: must be the name of a column")
    return Naming(renamed=renamed, segment=(segment or "").strip())


def otherwise_spelt(present: Collection[str], columns: Collection[str]) -> tuple[str, ...]:
    """`--column ok=OK` for each field that the file lacks, and has in other capitals."""
    fields = {name.replace("_", ""): name for name in FIELDS if name not in present and name != "segment"}
    spelt = ((fields.get(column.lower().replace("_", "").replace(" ", "")), column) for column in columns)
    return tuple(f"--column {name}={column}" for name, column in spelt if name is not None and name != column)


def missing_column(source: str, columns: Collection[str]) -> str:
    """A sentence that says so, with the likeliest name that was meant."""
    outer = source.partition(".")[0]
    if outer != source and outer in columns:
        return f"no column {source}; what is nested within {outer} cannot be read, write it as a column of its own"
    close = [name for name in columns if name.lower() == source.lower()] or get_close_matches(
        source, list(columns), n=1
    )
    meant = f"; did you mean {close[0]}?" if close else f"; the file has {listed(columns)}"
    return f"no column {source}{meant}"


def listed(names: Collection[str], most: int = 12, longest: int = 30) -> str:
    """`a, b, c and 4 more`; a name that is longer is cut short, and what could steer a terminal is a dot."""
    plain = ("".join(c if c.isprintable() else "\N{MIDDLE DOT}" for c in name) for name in list(names)[:most])
    shown = [name if len(name) <= longest else f"{name[: longest - 1]}…" for name in plain]
    rest = len(names) - len(shown)
    return ", ".join(shown) + (f" and {rest:,} more" if rest else "") if shown else "none"
