"""Recorded calls: the files of a folder of traces, and what is read from them."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

from watchdog.core.model import ErrorKind
from watchdog.replay.cells import CellReader
from watchdog.replay.columns import Naming, position
from watchdog.replay.formats import CallFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from watchdog.replay.cells import CallRow

# USD per token, in and out, where a source has tokens only: 0.25 and 1.25 per million.
PRICE_IN_USD, PRICE_OUT_USD = 0.25e-6, 1.25e-6
_STREAM, _VERSION, _OK = position("stream"), position("version"), position("ok")


@dataclass(frozen=True, kw_only=True)
class Source:
    """
    One file of a folder of traces.

    Attributes:
        version, segment: the columns that hold them; empty for none.
        priced: cost is made of the tokens.
        has_input_tokens: so that latency and cost are compared at like input.
    """

    name: str
    path: str
    version: str = ""
    segment: str = ""
    priced: bool = False
    has_input_tokens: bool = False


SOURCES = (
    Source(name="llmdrift", path="llmdrift/llmdrift_calls.csv.gz", version="variant"),
    Source(
        name="speechmap", path="speechmap/speechmap_calls.csv.gz", segment="task", priced=True, has_input_tokens=True
    ),
    Source(name="llmperf", path="llmperf/llmperf_calls.csv.gz", priced=True, has_input_tokens=True),
    Source(name="aibench", path="aibench/aibench_calls.csv.gz", version="variant"),
    Source(name="judge_prompts", path="judge_prompts/judge_prompt_versions.csv.gz", version="variant"),
    Source(name="routerarena", path="routerarena/routerarena_calls.csv.gz", segment="task", has_input_tokens=True),
)
SHIPPED = Source(name="llmdrift", path="llmdrift_calls.csv.gz", version="variant")


@dataclass(frozen=True, kw_only=True)
class Trace:
    """
    The calls of one version of one stream, in their order.

    Attributes:
        has_outcome: whether success is known; where it is not, each call counts as one.
    """

    source: Source
    stream: str
    version: str
    calls: tuple[CallRow, ...]
    has_outcome: bool

    @property
    def name(self) -> str:
        """Without the maker of a model that has one version, and without what stands twice."""
        if not self.version:
            return self.stream.rpartition("/")[2]
        return self.version if self.version.startswith(self.stream) else f"{self.stream} {self.version}"

    @property
    def successes(self) -> float:
        return sum(call.ok for call in self.calls) / len(self.calls)


def traces_of(source: Source, folder: Path) -> Iterator[Trace]:
    """
    Calls whose outcome nobody judged are left out, unless that is all of the stream's.

    Raises: ReplayError: the file cannot be read.
    """
    renamed = {"version": source.version} if source.version else {}
    file = CallFile(folder / source.path, Naming(renamed=renamed, segment=source.segment))
    reader = CellReader(file.present, lambda _: ErrorKind.OTHER, source.name)
    rows: dict[tuple[str, str], list[list[object]]] = {}
    for _, cells in file.rows():
        if not isinstance(cells, str):
            key = str(cells[_STREAM]), str(cells[_VERSION] or "") if source.version else ""
            rows.setdefault(key, []).append(list(cells))
    for (stream, version), taken in rows.items():
        has_outcome = any(cells[_OK] not in ("", None) for cells in taken)
        if not has_outcome and "ok" in file.present:
            for cells in taken:
                cells[_OK] = "1"
        calls = [reader.read(cells) for cells in taken]
        priced = [_priced(call) if source.priced else call for call in calls if not call.reason]
        yield Trace(source=source, stream=stream, version=version, calls=tuple(priced), has_outcome=has_outcome)


def _priced(call: CallRow) -> CallRow:
    if not call.input_tokens or call.output_tokens is None:
        return call._replace(input_tokens=None)  # the source writes 0 and 0 where the API told no usage
    return call._replace(cost_usd=call.input_tokens * PRICE_IN_USD + call.output_tokens * PRICE_OUT_USD)


def traces(folder: Path | None) -> list[Trace]:
    """
    Those of a folder, or the shipped ones.

    Raises: ReplayError: a file cannot be read.
    """
    if folder is None:
        with resources.as_file(resources.files("watchdog.embedded") / "recorded") as shipped:
            return list(traces_of(SHIPPED, shipped))
    here = [source for source in SOURCES if (folder / source.path).exists()]
    return [trace for source in here for trace in traces_of(source, folder)]
