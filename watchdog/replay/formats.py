"""
CSV, JSON lines and Parquet, packed or not, as one stream of rows.

A row is its cells in the order of `columns.FIELDS`, None where the file has no such column, with the number of its
first line. A row that cannot be taken apart is its number and the reason; it does not end the reading.
"""

from __future__ import annotations

import csv
import gzip
import json
import zlib
from contextlib import contextmanager
from itertools import islice
from typing import IO, TYPE_CHECKING, Any

from watchdog.replay.errors import ReplayError, optional

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from watchdog.replay.columns import Naming

    Cells = Sequence[object]
    Numbered = tuple[int, Cells | str]

_GZIP = b"\x1f\x8b"
_PARQUET = b"PAR1"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_SPREADSHEET = b"PK\x03\x04"
_LARGEST_CELL = 1 << 20
_BATCH_ROWS = 8192
_LOOK_AHEAD = 1000
# So many rows within one cell were swallowed by a quote that somebody forgot; in a cell that nobody reads (a prompt
# with a table in it) it takes more to say so.
_FEW_ROWS, _MANY_ROWS = 3, 20
_OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


class CallFile:
    """
    One file of calls.

    Attributes:
        name: as the user gave it.
        unit: what its rows are numbered by, `line` or `row`.
        present: the fields that it has; of JSON lines, those of the first thousand.
    """

    def __init__(self, path: Path, naming: Naming) -> None:
        """Raises: ReplayError: there is no such file, it is empty, of a kind that cannot be read, or lacks a column."""
        self.name = str(path)
        self.unit = "line"
        self._path = path
        self._naming = naming
        with self._faults_named():
            head = _head(path)
            start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
            if head.startswith(_PARQUET):
                self.unit = "row"
                self._rows, self._columns = self._parquet_rows, self._parquet_columns()
            elif problem := _unreadable(head, start):
                raise ReplayError(f"{path}: {problem}")
            elif start == b"{":
                self._rows, self._columns = self._json_rows, self._json_columns()
            else:
                self._rows, self._columns = self._csv_rows, self._csv_columns()
        twice = next((name for i, name in enumerate(self._columns) if name in self._columns[:i]), None)
        if twice is not None:
            raise ReplayError(f"{path}: the header names {twice or 'an empty column'} twice; rename one")
        self.present = naming.present(self.name, self._columns)

    @property
    def unread(self) -> tuple[str, ...]:
        """Columns of the file that stand for no field."""
        read = {self._naming.source_of(name) for name in self.present}
        return tuple(name for name in self._columns if name not in read)

    def rows(self) -> Iterator[Numbered]:
        """
        Each row's number and its cells, or why it has none.

        Raises: ReplayError: the file as a whole is not what it seems, such as packed data that end early.
        """
        with self._faults_named():
            yield from self._rows()

    @contextmanager
    def _faults_named(self) -> Iterator[None]:
        try:
            yield
        except (EOFError, zlib.error, gzip.BadGzipFile) as exc:
            raise ReplayError(f"{self.name}: the gzip data end early or are damaged ({exc}); copy it again") from exc
        except UnicodeDecodeError as exc:
            byte = exc.object[exc.start]
            raise ReplayError(f"{self.name}: is not UTF-8 (byte 0x{byte:02x}); save it as UTF-8") from exc

    def _csv_columns(self) -> tuple[str, ...]:
        csv.field_size_limit(_LARGEST_CELL)
        with _text(self._path) as stream:
            try:
                header = [name.strip() for name in next(csv.reader(stream), [])]
            except csv.Error as exc:
                raise ReplayError(f"{self.name}: line 1: {exc}") from exc
        for separator, plural in _OTHER_SEPARATORS.items():
            if len(header) == 1 and separator in header[0]:
                raise ReplayError(f"{self.name}: the columns are separated by {plural}; save it separated by commas")
        return tuple(header)

    def _csv_rows(self) -> Iterator[Numbered]:
        header = self._columns
        at = [header.index(source) if source in header else None for source in self._naming.sources]
        with _text(self._path) as stream:
            lines = _Remembered(stream)
            reader = csv.reader(lines, strict=True)
            next(reader)
            while True:
                lines.since.clear()
                line = reader.line_num + 1
                try:
                    row = next(reader)
                except StopIteration:
                    return
                except csv.Error as exc:
                    row = self._mended(lines, line, exc)
                if len(row) == len(header):
                    cells = [None if i is None else row[i] for i in at]
                    if len(lines.since) > 1:
                        read = any(cell is not None and "\n" in cell for cell in cells)
                        self._refuse_swallowed(lines.since, line, _FEW_ROWS if read else _MANY_ROWS)
                    yield line, cells
                elif row:  # a blank line is no row
                    self._refuse_swallowed(lines.since, line, _FEW_ROWS)
                    yield line, "a row has another number of cells than the header"

    def _mended(self, lines: _Remembered, line: int, fault: csv.Error) -> list[str]:
        """
        The row as most programs would read it, where its quotes are not what they should be.

        Raises: ReplayError: the row does not end.
        """
        if lines.ended:
            raise ReplayError(f"{self.name}: {_not_closed(line)}") from fault
        try:
            return next(csv.reader(lines.since), [])
        except csv.Error as exc:
            raise ReplayError(f"{self.name}: line {line}: {exc}; is a quote not closed?") from exc

    def _refuse_swallowed(self, lines: Sequence[str], line: int, most: int) -> None:
        """
        Raises: ReplayError: most of at least so many lines within one row look like rows of their own.
        """
        commas = len(self._columns) - 1
        inner = lines[1:-1]
        if len(inner) >= most and commas and sum(text.count(",") == commas for text in inner) > len(inner) / 2:
            raise ReplayError(f"{self.name}: {_not_closed(line)}")

    def _json_columns(self) -> tuple[str, ...]:
        seen: dict[str, None] = {}
        for _, value in islice(self._json_objects(), _LOOK_AHEAD):
            if isinstance(value, dict):
                seen.update(dict.fromkeys(value))
        return tuple(seen)

    def _json_rows(self) -> Iterator[Numbered]:
        sources = self._naming.sources
        for line, value in self._json_objects():
            if isinstance(value, str):
                yield line, value
            else:
                yield line, [None if source is None else value.get(source) for source in sources]

    def _json_objects(self) -> Iterator[tuple[int, dict[str, object] | str]]:
        with _text(self._path) as stream:
            for line, text in enumerate(_lines(stream, self.name), start=1):
                if not text.strip():
                    continue
                try:
                    value = json.loads(text)
                except (ValueError, RecursionError):
                    yield line, "the line is not JSON"
                    continue
                yield line, value if isinstance(value, dict) else "the line is not a JSON object"

    def _parquet_columns(self) -> tuple[str, ...]:
        with self._parquet() as file:
            return tuple(file.schema_arrow.names)

    def _parquet_rows(self) -> Iterator[Numbered]:
        sources = self._naming.sources
        wanted = [name for name in dict.fromkeys(sources) if name is not None and name in self._columns]
        first = 1
        with self._parquet() as file:
            for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=wanted):
                lists = {name: batch.column(name).to_pylist() for name in wanted}
                nothing = [None] * batch.num_rows
                yield from enumerate(
                    zip(*(lists.get(s, nothing) if s else nothing for s in sources), strict=True), start=first
                )
                first += batch.num_rows

    @contextmanager
    def _parquet(self) -> Iterator[Any]:
        purpose = f"{self.name}: reading Parquet"
        arrow = optional("pyarrow", extra="parquet", purpose=purpose)
        parquet = optional("pyarrow.parquet", extra="parquet", purpose=purpose)
        try:
            with parquet.ParquetFile(self._path) as file:
                yield file
        except arrow.ArrowException as exc:
            why = (str(exc).splitlines() or [type(exc).__name__])[0]
            raise ReplayError(f"{self.name}: is not readable as Parquet: {why}") from exc


class _Remembered:
    """
    The lines of a text, as a reader takes them.

    Attributes:
        since: those that were taken since it was last emptied.
        ended: whether there are no more.
    """

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self.since: list[str] = []
        self.ended = False

    def __iter__(self) -> _Remembered:
        return self

    def __next__(self) -> str:
        line = next(self._stream, None)
        if line is None:
            self.ended = True
            raise StopIteration
        self.since.append(line)
        return line


def _not_closed(line: int) -> str:
    return f"a quote opened at line {line} is not closed, so that the rows after it are no rows; close it, or remove it"


def _unreadable(head: bytes, start: bytes) -> str:
    """Why these first bytes are no text of calls, and what to do; empty when they may be."""
    if head.startswith(_UTF_16):
        return "is UTF-16; save it as UTF-8"
    if head.startswith(_SPREADSHEET):
        return "is a spreadsheet or an archive; save it as CSV"
    if b"\x00" in head:
        return "is a binary file; CSV, JSON lines and Parquet can be read"
    if start == b"[":
        return "is one JSON array; write one object a line (jq -c '.[]' does it)"
    return ""


def _head(path: Path) -> bytes:
    """
    The first bytes, unpacked.

    Raises: ReplayError: there is nothing to read.
    """
    try:
        if str(path) == "-" or path.is_fifo() or path.is_char_device():
            raise ReplayError(f"{path}: is no file but a pipe; a file is read more than once, so save it as one first")
        with path.open("rb") as raw:
            head = raw.read(4096)
    except FileNotFoundError as exc:
        raise ReplayError(f"{path}: there is no such file") from exc
    except IsADirectoryError as exc:
        raise ReplayError(f"{path}: is a folder; name the files in it") from exc
    if not head:
        raise ReplayError(f"{path}: is empty")
    if not head.startswith(_GZIP):
        if path.suffix == ".gz":
            raise ReplayError(f"{path}: is named .gz, but is not packed with gzip; rename it, or copy it again")
        return head
    with gzip.open(path) as packed:
        head = packed.read(4096)
    if not head:
        raise ReplayError(f"{path}: is empty")
    if head.startswith(_PARQUET):
        raise ReplayError(f"{path}: is Parquet in gzip; Parquet is packed already, gunzip it first")
    return head


@contextmanager
def _text(path: Path) -> Iterator[IO[str]]:
    """The file as text; a byte order mark is no part of it, and line ends are the CSV reader's business."""
    with path.open("rb") as raw:
        packed = raw.read(2) == _GZIP
    if packed:
        with gzip.open(path, "rt", encoding="utf-8-sig", newline="") as stream:
            yield stream
    else:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            yield stream


def _lines(stream: IO[str], name: str) -> Iterator[str]:
    """Lines of at most a mebibyte, so that a file without line ends cannot fill the memory."""
    while line := stream.readline(_LARGEST_CELL):
        if len(line) == _LARGEST_CELL:
            raise ReplayError(f"{name}: a line has more than {_LARGEST_CELL:,} characters; one object a line is needed")
        yield line
