"""
Text from prompts, platforms and people, made harmless to show.

A version label or a stop sequence is somebody else's text. It must not ring a whole channel, hide what follows it, or
move the cursor of a terminal.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

NOTHING = "-"
_LINE_ENDS = re.compile(r"\r\n|[\r\n\v\f\x85\u2028\u2029]")
_BLANKS = re.compile(r"[ \t\xa0]+")
# Control and format characters (escape sequences, bidi overrides, zero-width letters) and half surrogate pairs.
_INVISIBLE = frozenset({"Cc", "Cf", "Cs"})


def cleaned(text: str) -> str:
    """Lines of visible characters, without control and format characters; `-` where nothing is left."""
    lines = _LINE_ENDS.sub("\n", text).replace("\t", "    ").split("\n")
    visible = ("".join(c for c in line if unicodedata.category(c) not in _INVISIBLE).rstrip() for line in lines)
    return "\n".join(visible).strip("\n") or NOTHING


def one_line(text: str) -> str:
    """Like `cleaned`, on one line; `-` where nothing is left."""
    return _BLANKS.sub(" ", cleaned(text).replace("\n", " ")).strip() or NOTHING


def width(character: str) -> int:
    """UTF-16 code units of one character: the strictest way in which a receiver may count its limits."""
    return 2 if ord(character) > 0xFFFF else 1


def clipped(text: str, limit: int, *, cost: Callable[[str], int] = width) -> str:
    """
    The text itself where it fits, else its beginning and how much was left out.

    Args:
        limit: >= 40, so that there is room for the remark; in the unit of `cost`.
        cost: of one character.
    """
    totals = list(accumulate(map(cost, text)))
    if not totals or totals[-1] <= limit:
        return text
    kept = bisect_right(totals, limit)
    while kept and totals[kept - 1] + len(_left_out(len(text) - kept)) > limit:
        kept -= 1
    return text[:kept] + _left_out(len(text) - kept)


def first_lines(lines: Sequence[str], most: int, noun: str) -> tuple[str, ...]:
    """At most `most` lines; where some are left out, the last one says how many, such as `… 3 more changes`."""
    if len(lines) <= most:
        return tuple(lines)
    return (*lines[: most - 1], f"… {len(lines) - most + 1:,} more {noun}")


def _left_out(n: int) -> str:
    return f"… ({n:,} more characters)"
