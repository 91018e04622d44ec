"""CSV, JSON lines and Parquet; and files that are not what they seem."""

from __future__ import annotations

import gzip
import json
import os
import sys
from pathlib import Path

import pytest

from tests.replay.callfiles import csv_of, write
from watchdog.replay.columns import Naming, naming, position
from watchdog.replay.errors import ReplayError
from watchdog.replay.formats import CallFile

OK, LATENCY = position("ok"), position("latency_s")


def cells(path: Path, given: Naming | None = None) -> list[tuple[int, object, object]]:
    """(number, ok, latency_s) of each row; (number, reason, None) of one without cells."""
    rows = CallFile(path, given or Naming()).rows()
    return [(n, c, None) if isinstance(c, str) else (n, c[OK], c[LATENCY]) for n, c in rows]


@pytest.mark.parametrize("name", ["calls.csv", "calls.csv.gz", "calls.txt"])
def test_csv_is_read_packed_or_not(tmp_path, name):
    """By what is in it, whatever its name says."""
    path = write(tmp_path / name, csv_of("ok,latency_s", ["1,0.5", "0,2"]))

    assert [(2, "1", "0.5"), (3, "0", "2")] == cells(path)


@pytest.mark.parametrize("name", ["calls.jsonl", "calls.jsonl.gz", "calls.ndjson"])
def test_json_lines_are_read_packed_or_not(tmp_path, name):
    """With JSON's own types."""
    lines = [{"ok": True, "latency_s": 0.5}, {"ok": False}]
    path = write(tmp_path / name, "\n".join(json.dumps(line) for line in lines))

    assert [(1, True, 0.5), (2, False, None)] == cells(path)


def test_parquet_is_read_in_batches(tmp_path):
    """Rows are numbered, since there are no lines."""
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    n = 20_000
    parquet.write_table(
        arrow.table({"ok": [i % 2 == 0 for i in range(n)], "latency_s": [0.5] * n, "answer": ["x"] * n}),
        tmp_path / "calls.parquet",
    )

    found = cells(tmp_path / "calls.parquet")

    assert n == len(found)
    assert [(1, True, 0.5), (n, False, 0.5)] == [found[0], found[-1]]
    assert "row" == CallFile(tmp_path / "calls.parquet", Naming()).unit


def test_without_pyarrow_the_extra_is_named(tmp_path, monkeypatch):
    """What to install, in words that can be copied."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "calls.parquet").write_bytes(b"PAR1 and more")

    with pytest.raises(ReplayError, match=r"pip install 'prompt-watchdog\[parquet\]'"):
        CallFile(tmp_path / "calls.parquet", Naming())


def test_damaged_parquet_is_named(tmp_path):
    """Not a traceback of another package."""
    pytest.importorskip("pyarrow")
    (tmp_path / "calls.parquet").write_bytes(b"PAR1" + b"\x00" * 100)

    with pytest.raises(ReplayError, match="is not readable as Parquet"):
        CallFile(tmp_path / "calls.parquet", Naming())


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path):
    """As spreadsheets write it."""
    assert [(2, "1", "0.5")] == cells(write(tmp_path / "calls.csv", "\ufeffok,latency_s\r\n1,0.5\r\n"))


def test_line_ends_of_windows_and_quoted_line_breaks_are_fine(tmp_path):
    """A row has the number of its first line."""
    path = write(tmp_path / "calls.csv", 'note,ok,latency_s\r\n"two\r\nlines",1,0.5\r\nplain,0,2\r\n')

    assert [(2, "1", "0.5"), (4, "0", "2")] == cells(path)


ROWS = [f"1,{i}.5" for i in range(50)]


@pytest.mark.parametrize(
    "changed",
    [
        {10: '"1,0.5'},
        {10: '1,"0.5'},
        {10: '"1,0.5', 40: '1,0.5"'},
        {10: '1,"0.5', 40: '1,"0.5'},
        {10: '1,"0.5', 40: '1,0.5"'},
    ],
)
def test_a_quote_that_is_not_closed_is_named(tmp_path, changed):
    """Rather than that the rows after it are lost without a word."""
    path = write(tmp_path / "calls.csv", csv_of("ok,latency_s", [changed.get(i, row) for i, row in enumerate(ROWS)]))

    with pytest.raises(ReplayError, match="a quote opened at line 12 is not closed"):
        cells(path)


def test_a_quote_that_is_not_closed_in_a_cell_that_nobody_reads_is_named(tmp_path):
    """The rows within it are lost all the same."""
    rows = [f"{row},note" for row in ROWS]
    rows[10], rows[40] = '1,0.5,"a', '1,0.5,a"'

    with pytest.raises(ReplayError, match="a quote opened at line 12 is not closed"):
        cells(write(tmp_path / "calls.csv", csv_of("ok,latency_s,note", rows)))


@pytest.mark.parametrize("row", ['1,"0.5', '"1,0.5'])
def test_a_quote_that_is_not_closed_at_the_end_is_named(tmp_path, row):
    """However few rows it takes with it, and in a cell that nobody reads as well."""
    path = write(tmp_path / "calls.csv", csv_of("latency_s,note", [f"{i}.5,x" for i in range(9)] + [row]))

    with pytest.raises(ReplayError, match="a quote opened at line 11 is not closed"):
        cells(path)


def test_a_table_within_an_answer_is_no_forgotten_quote(tmp_path):
    """Some lines of commas in a cell that nobody reads."""
    rows = ['1,0.5,"a,b,c\n1,2,3\n4,5,6\n7,8,9\n1,2,3\n"', "0,2,x"]

    assert [2, 8] == [row[0] for row in cells(write(tmp_path / "calls.csv", csv_of("ok,latency_s,note", rows)))]


def test_quotes_within_quotes_are_read_as_most_programs_read_them(tmp_path):
    """Careless, and no reason to lose a call."""
    path = write(tmp_path / "calls.csv", csv_of("ok,latency_s,note", ['1,0.5,"he said "hi" there"', "0,2,x"]))

    assert [(2, "1", "0.5"), (3, "0", "2")] == cells(path)


def test_a_pipe_is_refused_with_what_to_do(tmp_path):
    """A file is read more than once."""
    os.mkfifo(tmp_path / "pipe")

    for path in (tmp_path / "pipe", Path("-")):
        with pytest.raises(ReplayError, match=r"is no file but a pipe; .* save it as one first"):
            CallFile(path, Naming())


def test_a_column_without_a_name_is_no_field(tmp_path):
    """A data frame's index would be a segment a row."""
    path = write(tmp_path / "calls.csv", csv_of(",ok,latency_s", ["0,1,0.5", "1,0,2"]))

    assert frozenset({"ok", "latency_s"}) == CallFile(path, Naming()).present
    assert [(2, "1", "0.5"), (3, "0", "2")] == cells(path)


@pytest.mark.parametrize("name", ["calls.csv", "calls.jsonl"])
def test_a_field_can_be_left_unread(tmp_path, name):
    """`--column ok=`."""
    text = csv_of("ok,latency_s", ["maybe,0.5"]) if name.endswith("csv") else '{"ok": "maybe", "latency_s": "0.5"}'
    file = CallFile(write(tmp_path / name, text), naming(["ok="], None))

    assert {"latency_s"} == file.present
    assert [(None, "0.5")] == [(row[OK], row[LATENCY]) for _, row in file.rows()]


def test_what_is_nested_is_said_to_be(tmp_path):
    """JSON lines as a tracing tool writes them."""
    path = write(tmp_path / "calls.jsonl", '{"ok": 1, "metadata": {"version": "a"}}')

    with pytest.raises(ReplayError, match="what is nested within metadata cannot be read"):
        CallFile(path, naming(["version=metadata.version"], None))


def test_a_row_with_another_number_of_cells_does_not_end_the_reading(tmp_path):
    """It is counted, with its line; a blank line is no row."""
    path = write(tmp_path / "calls.csv", csv_of("ok,latency_s", ["1,0.5", "1,0,5", "", "0,2"]))

    assert [(2, "1"), (3, "a row has another number of cells than the header"), (5, "0")] == [
        row[:2] for row in cells(path)
    ]


def test_a_broken_line_of_json_does_not_end_the_reading(tmp_path):
    """A log that was cut while it was written."""
    path = write(tmp_path / "calls.jsonl", '{"ok": 1}\n{"ok": \n[1]\n\n{"ok": 0}\n')

    assert [(1, 1), (2, "the line is not JSON"), (3, "the line is not a JSON object"), (5, 0)] == [
        row[:2] for row in cells(path)
    ]


def test_packed_data_that_end_early_are_named(tmp_path):
    """Half a download."""
    path = tmp_path / "calls.csv.gz"
    rows = [f"1,{i}.{i % 7}" for i in range(20_000)]
    path.write_bytes(gzip.compress(csv_of("ok,latency_s", rows).encode())[:-2000])

    with pytest.raises(ReplayError, match="gzip data end early"):
        cells(path)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("calls.csv", b"", "is empty"),
        ("calls.csv.gz", b"ok,latency_s\n1,2\n", "is named .gz, but is not packed with gzip"),
        ("calls.csv.gz", gzip.compress(b"", mtime=0), "is empty"),
        ("calls.parquet.gz", gzip.compress(b"PAR1xxxx", mtime=0), "is Parquet in gzip"),
        ("calls.csv", b"\x7fELF\x00\x01\x02", "is a binary file"),
        ("calls.xlsx", b"PK\x03\x04 and more", "is a spreadsheet or an archive; save it as CSV"),
        ("calls.csv", "ok,latency_s\n1,2\n".encode("utf-16"), "is UTF-16; save it as UTF-8"),
        ("calls.csv", "ok,modèle\n1,x\n".encode("latin-1"), "is not UTF-8 (byte 0xe8)"),
        ("calls.json", b'[{"ok": 1}]', "is one JSON array; write one object a line"),
        ("calls.csv", b"ok;latency_s\n1;0,5\n", "the columns are separated by semicolons; save it separated by commas"),
        ("calls.tsv", b"ok\tlatency_s\n1\t0.5\n", "the columns are separated by tabs"),
        ("calls.csv", b"ok,ok\n1,1\n", "the header names ok twice"),
        ("calls.csv", b"ok,latency_s,latency_ms\n1,2,2000\n", "has both latency_s and latency_ms"),
        ("calls.csv", b"success,duration\n1,2\n", "no column to judge; at least one of ok, error"),
        ("calls.csv", b"Version,OK,Latency_S\na,1,2\n", "is given with, for example, --column ok=OK"),
        ("calls.csv", b'ok,note\n1,"' + b"x" * 1_100_000, "line 2: field larger than field limit"),
    ],
)
def test_a_newcomers_file_is_refused_in_one_line(tmp_path, name, content, says):
    """Which file, what is wrong, what to do."""
    path = tmp_path / name
    path.write_bytes(content)

    with pytest.raises(ReplayError) as refused:
        cells(path)

    assert says in str(refused.value)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path):
    """Both are common."""
    with pytest.raises(ReplayError, match="there is no such file"):
        CallFile(tmp_path / "none.csv", Naming())
    with pytest.raises(ReplayError, match="is a folder"):
        CallFile(tmp_path, Naming())


def test_a_column_of_another_name_is_read(tmp_path):
    """`--column ok=success`."""
    path = write(tmp_path / "calls.csv", csv_of("success,latency_s", ["1,0.5"]))

    assert [(2, "1", "0.5")] == cells(path, naming(["ok=success"], None))


def test_one_of_two_latencies_can_be_chosen(tmp_path):
    """By naming it."""
    path = write(tmp_path / "calls.csv", csv_of("ok,latency_s,latency_ms", ["1,0.5,500"]))

    assert "latency_ms" not in CallFile(path, naming(["latency_s=latency_s"], None)).present


@pytest.mark.parametrize(
    ("given", "segment", "says"),
    [
        (["version"], None, r"must be FIELD=COLUMN, .* \(or FIELD= not to read it\)"),
        (["verson=variant"], None, "there is no field verson"),
        (["segment=task"], None, "use --segment COLUMN"),
        (["ok=a", "ok=b"], None, "ok is already a; keep one"),
        ([], " ", "--segment: must be the name of a column"),
    ],
)
def test_a_column_that_is_named_wrongly_is_refused(given, segment, says):
    """Before any file is opened."""
    with pytest.raises(ReplayError, match=says):
        naming(given, segment)


@pytest.mark.parametrize(
    ("columns", "segment", "says"),
    [(["version=varant"], None, "no column varant; did you mean variant?"), ([], "route", "no column route")],
)
def test_a_column_that_is_not_there_is_named(tmp_path, columns, segment, says):
    """With the likeliest that was meant."""
    path = write(tmp_path / "calls.csv", csv_of("ok,variant", ["1,a"]))

    with pytest.raises(ReplayError, match=says):
        CallFile(path, naming(columns, segment))
