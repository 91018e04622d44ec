"""Every key and array item is found where it stands."""

from __future__ import annotations

import datetime as dt
import tomllib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchdog.config.locate import KeyPath, Place, locate

TRICKY = '''\
# a comment = [not, a, key]
bare = 1
"quoted = key" = 'its' # trailing
a.b . "c.d" = { x = [1, {y = "]}"}], 'z z' = """
two
\\"""lines # = 3
"""" }
dates = [1979-05-27 07:32:00, 07:32:00, 1979-05-27T00:32:00.999-07:00]
[table.'sub table']
long = [
  # a comment in an array ]
  "first", \'\'\'
second = "not a key"\'\'\',
  [ ],
]
[[many]]
k = """a "quoted" end"""""
[[many]]
[many.inner]
k = ''
[[many.items]]
[[many.items]]
n = -inf
'''


def paths_of(value: Any, path: KeyPath = ()) -> set[KeyPath]:
    """Path of every key and item in a parsed document."""
    if isinstance(value, dict):
        inner = value.items()
    elif isinstance(value, list):
        inner = enumerate(value)
    else:
        return set()
    found: set[KeyPath] = set()
    for key, below in inner:
        found |= {(*path, key)} | paths_of(below, (*path, key))
    return found


def test_a_tricky_document_has_the_paths_that_tomllib_sees() -> None:
    """Comments, quotes, escapes, dotted keys, inline and nested arrays of tables are read as tomllib reads them."""
    expected = paths_of(tomllib.loads(TRICKY))

    assert expected == set(locate(TRICKY))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (("bare",), Place(line=2, column=1, last_line=2)),
        (("quoted = key",), Place(line=3, column=1, last_line=3)),
        (("a", "b", "c.d"), Place(line=4, column=7, last_line=7)),
        (("a", "b", "c.d", "x", 1, "y"), Place(line=4, column=26, last_line=4)),
        (("a", "b", "c.d", "z z"), Place(line=4, column=38, last_line=7)),
        (("dates", 1), Place(line=8, column=31, last_line=8)),
        (("table", "sub table"), Place(line=9, column=8, last_line=9)),
        (("table", "sub table", "long", 1), Place(line=12, column=12, last_line=13)),
        (("many", 1), Place(line=18, column=3, last_line=18)),
        (("many", 1, "items", 1, "n"), Place(line=23, column=1, last_line=23)),
    ],
)
def test_places_are_those_an_editor_shows(path: KeyPath, expected: Place) -> None:
    """Lines and columns count from one, and a value that spans lines ends on its last."""
    assert expected == locate(TRICKY)[path]


def test_windows_line_ends_change_nothing() -> None:
    """A carriage return is part of the line's end, not of a value or a column."""
    assert locate(TRICKY) == locate(TRICKY.replace("\n", "\r\n"))


def test_an_empty_document_has_no_places() -> None:
    """Blank lines and comments hold no keys."""
    assert {} == locate("\n# nothing = here\n\n")


_KEYS = st.one_of(st.sampled_from(["a", "b", "c-1", "x_y", "0"]), st.text(max_size=4))
_SCALARS = st.one_of(
    st.integers(-99, 99),
    st.booleans(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    st.dates().map(lambda day: dt.datetime(day.year, day.month, day.day, 7, 32, tzinfo=dt.UTC)),
    st.sampled_from(['"', "'''", '"""', "]", "}", "a = 1", "# no", "[x]", "\\", "\n", "a,\nb"]),
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_KEYS, inner, max_size=3)),
    max_leaves=8,
)


class Writer:
    """Writes a value as TOML, drawing one of the many ways to do so at each step."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw

    def document(self, value: dict[str, Any]) -> str:
        return "".join(self._table(value, ()))

    def _pick(self, *options: str) -> str:
        return self._draw(st.sampled_from(options))

    def _table(self, value: dict[str, Any], path: tuple[str, ...]) -> list[str]:
        lines: list[str] = []
        below: list[str] = []
        for key, item in value.items():
            name = self._key(key)
            if isinstance(item, dict) and self._draw(st.booleans()):
                header = ".".join([*map(self._key, path), name])
                below += [f"{self._gap()}[{header}]{self._end()}", *self._table(item, (*path, key))]
            elif (
                isinstance(item, list) and item and all(isinstance(i, dict) for i in item) and self._draw(st.booleans())
            ):
                header = self._pick(".", " . ").join([*map(self._key, path), name])
                for one in item:
                    below += [f"[[{header}]]{self._end()}", *self._table(one, (*path, key))]
            elif isinstance(item, dict) and len(item) == 1 and self._draw(st.booleans()):
                ((inner_key, inner),) = item.items()
                lines.append(f"{name}{self._pick('.', ' . ')}{self._key(inner_key)} ={self._value(inner)}{self._end()}")
            else:
                lines.append(f"{name}{self._pick('=', ' = ')}{self._value(item)}{self._end()}")
        return lines + below

    def _key(self, key: str) -> str:
        bare = key != "" and all(c.isascii() and (c.isalnum() or c in "-_") for c in key)
        if bare and self._draw(st.booleans()):
            return key
        return _basic(key)

    def _value(self, value: Any) -> str:
        match value:
            case bool():
                return "true" if value else "false"
            case str():
                return self._string(value)
            case list():
                gap = self._pick(" ", "\n ", " # ] in a comment\n")
                inner = f",{gap}".join(self._value(item) for item in value)
                trailing = self._pick("", ",") if value else ""
                return f"[{gap}{inner}{gap}{trailing}{gap}]"
            case dict():
                return "{ " + ", ".join(f"{self._key(k)} = {self._value(v)}" for k, v in value.items()) + " }"
            case dt.datetime():
                return value.isoformat(self._pick("T", " "))
            case _:
                return repr(value)

    def _string(self, value: str) -> str:
        literal = value.isprintable() and "'" not in value
        style = self._pick("basic", "multiline", *(["literal", "literal multiline"] if literal else []))
        match style:
            case "literal":
                return f"'{value}'"
            case "literal multiline":
                return f"'''\n{value}'''"
            case "multiline":
                return f'"""{_escaped(value)}{self._pick("", chr(10))}"""'
            case _:
                return _basic(value)

    def _gap(self) -> str:
        return self._pick("", "\n", "  \t", "# [not.a.table]\n")

    def _end(self) -> str:
        return self._pick("\n", " # end\n", "\n\n", "\r\n")


def _escaped(value: str) -> str:
    return "".join(c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08X}" for c in value)


def _basic(value: str) -> str:
    return f'"{_escaped(value)}"'


@st.composite
def documents(draw: st.DrawFn) -> str:
    return Writer(draw).document(draw(st.dictionaries(_KEYS, _VALUES, max_size=4)))


@settings(max_examples=300, deadline=None, derandomize=True)
@given(documents())
def test_any_document_has_the_paths_that_tomllib_sees(text: str) -> None:
    """However a document is written, the locator finds the same keys and items as tomllib."""
    expected = paths_of(tomllib.loads(text))

    assert expected == set(locate(text))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(documents())
def test_each_key_stands_where_its_place_says(text: str) -> None:
    """What begins at the place of a key, read as TOML, is that key."""
    lines = text.replace("\r\n", "\n").split("\n")
    for path, place in locate(text).items():
        rest = lines[place.line - 1][place.column - 1 :]
        if isinstance(path[-1], str):
            bare_or_quoted = path[-1] if rest.startswith(path[-1]) and path[-1] else _basic(path[-1])

            assert rest.startswith(bare_or_quoted)
