"""What a stranger may write where something else belongs; and how JSON and TOML with such things in it are written."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Raw:
    """Text that is written as it is, valid or not."""

    text: str


TEXTS = (
    "",
    " ",
    "\0",
    "a\0b",
    "\ud800",
    "\udfff\ud800",
    "\u202e\u2066",
    "\x1b[31mred\x07",
    "\r\n\r\nSet-Cookie: x",
    "é" * 300,
    "x" * 5000,
    "🙂" * 50,
    "null",
    "true",
    "0",
    "NaN",
    "-1",
    "1e309",
    "../../etc/passwd",
    "%00%2e%2e/",
    "<script>alert(1)</script>",
    "{{7*7}}",
    "' OR 1=1 --",
    "[/red][bold]",
)
TIMES = (
    "0000-01-01T00:00:00Z",
    "0001-01-01T00:00:00Z",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59.999999Z",
    "9999-12-31T23:59:59-23:59",
    "99999-01-01T00:00:00Z",
    "-2026-01-01T00:00:00Z",
    "2026-02-30T00:00:00Z",
    "2026-11-20T25:61:61Z",
    "2026-11-20T12:00:60Z",
    "2026-11-20",
    "2026-W47-5T12:00:00Z",
    "20261120T120000Z",
    "2026-11-20T12:00:00+99:99",
    "2026-11-20 12:00:00",
    "T",
    "1763640000",
)
NUMBERS: tuple[object, ...] = (
    0,
    -0.0,
    -1,
    -1e-9,
    5e-324,
    1e308,
    2**53,
    2**53 + 1,
    2**63,
    2**64,
    10**30,
    -(10**30),
    Raw("1e309"),
    Raw("-1e309"),
    Raw("NaN"),
    Raw("Infinity"),
    Raw("-Infinity"),
    Raw("1" * 5000),
    Raw("0." + "3" * 5000),
    Raw("1e99999999999"),
    Raw("00"),
    Raw("0x1F"),
)


def odd(luck: Random) -> object:
    """Something that belongs nowhere in particular."""
    match luck.randrange(8):
        case 0:
            return luck.choice(TEXTS)
        case 1:
            return luck.choice(TIMES)
        case 2:
            return luck.choice(NUMBERS)
        case 3:
            return luck.choice((True, False, None))
        case 4:
            return luck.choice(([], {}, [[]], [{}], {"": {}}, [None], {"id": None}))
        case 5:
            return nested(luck, luck.choice((3, 50, 900, 990)))
        case 6:
            return [odd(luck) for _ in range(luck.randrange(4))]
        case _:
            return "".join(chr(luck.choice((luck.randrange(32, 127), luck.randrange(0x11_0000)))) for _ in range(8))


def nested(luck: Random, depth: int) -> Raw:
    """Lists or objects in one another; `depth` of them."""
    if luck.random() < 0.5:
        return Raw("[" * depth + "]" * depth)
    return Raw('{"a":' * depth + "1" + "}" * depth)


def paths(value: object, at: Path = ()) -> list[Path]:
    """Of everything within, itself first."""
    found = [at]
    if isinstance(value, dict):
        for key, inner in value.items():
            found += paths(inner, (*at, key))
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            found += paths(inner, (*at, i))
    return found


def changed(value: Any, at: Path, change: Callable[[Any], Any]) -> Any:
    """A copy with what stands there changed."""
    if not at:
        return change(value)
    inner = changed(value[at[0]], at[1:], change)
    if isinstance(value, dict):
        return {**value, at[0]: inner}
    return [*value[: at[0]], inner, *value[at[0] + 1 :]]


def mutated(value: Any, luck: Random) -> Any:
    """One thing in it replaced, taken away, doubled, renamed or wrapped."""
    at = luck.choice(paths(value))
    match luck.randrange(6):
        case 0 | 1 | 2:
            return changed(value, at, lambda _: odd(luck))
        case 3 if at:
            return changed(value, at[:-1], lambda held: _without(held, at[-1]))
        case 4 if at:
            return changed(value, at[:-1], lambda held: _renamed(held, at[-1], luck))
        case _:
            return changed(value, at, lambda held: luck.choice(([held], {"value": held}, [held, held])))


def _without(held: Any, key: str | int) -> Any:
    if isinstance(held, dict):
        return {k: v for k, v in held.items() if k != key}
    return [v for i, v in enumerate(held) if i != key]


def _renamed(held: Any, key: str | int, luck: Random) -> Any:
    if not isinstance(held, dict):
        return [*held, *held]
    name = luck.choice((str(key).upper(), f"{key} ", f"{key}s", luck.choice(TEXTS)))
    return {(name if k == key else k): v for k, v in held.items()}


def as_json(value: object) -> str:
    """Like `json.dumps`, but what is raw stays so."""
    match value:
        case Raw(text=text):
            return text
        case dict():
            return "{" + ",".join(f"{json.dumps(str(k))}:{as_json(v)}" for k, v in value.items()) + "}"
        case list() | tuple():
            return "[" + ",".join(as_json(v) for v in value) + "]"
        case _:
            return json.dumps(value)


def broken_bytes(body: bytes, luck: Random) -> bytes:
    """The same, as a careless disk or network hands it on."""
    at = luck.randrange(len(body) + 1)
    match luck.randrange(7):
        case 0:
            return body[:at]
        case 1:
            return body[:at] + bytes([luck.randrange(256)]) + body[at + 1 :]
        case 2:
            return (
                body[:at] + luck.choice((b"\0", b"\xff\xfe", b"\xed\xa0\x80", b"\r", b"\x1b", b'"', b"'")) + body[at:]
            )
        case 3:
            return b"\xef\xbb\xbf" + body
        case 4:
            return body.replace(b"\n", luck.choice((b"\r\n", b"\r", b"\n\n")))
        case 5:
            end = min(len(body), at + luck.randrange(40))
            return body[:end] + body[at:]
        case _:
            lines = body.split(b"\n")
            i, j = luck.randrange(len(lines)), luck.randrange(len(lines))
            lines[i], lines[j] = lines[j], lines[i]
            return b"\n".join(lines)
