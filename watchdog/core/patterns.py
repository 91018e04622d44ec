"""
Patterns of the user's own, for what must not be kept of a body.

A body is a stranger's text, and Python's `re` has no time limit: `(a+)+$` needs a second for 25 letters and a year for
50. So a pattern is taken only where the number of ways in which it can go through a piece of text is small, and it is
applied to pieces of that length.
"""

from __future__ import annotations

import re
import warnings
from functools import lru_cache

# Python's own parser of patterns; private, but the only reading of them that cannot differ from what `re` does.
from re import _parser  # type: ignore[attr-defined]
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Characters that a pattern is applied to at once. Two pieces overlap by half: half of it is surely found whole.
PIECE = 512
LONGEST_PATTERN = 200
MOST_PATTERNS = 20
# Ways through one piece. One repeat without an end has 512; two of them have too many.
_MOST_WAYS = 2_500


def problem_with(pattern: str) -> str:
    """What is wrong with it and what to do, for a person; empty where it can be used."""
    if len(pattern) > LONGEST_PATTERN:
        return f"has {len(pattern):,} characters; at most {LONGEST_PATTERN}"
    try:
        with warnings.catch_warnings():
            # Python warns of what a later version will read in another way.
            warnings.simplefilter("error")
            re.compile(pattern)
            parsed = _parser.parse(pattern)
    except re.error as exc:
        place = "" if exc.pos is None else f" at character {exc.pos + 1}"
        return f"is not a regular expression: {exc.msg}{place}"
    except (Warning, OverflowError, RecursionError) as exc:
        return f"is not a regular expression that every Python reads alike: {exc}"
    if parsed.getwidth()[0] == 0:
        return "matches the empty text, which is everywhere; make it need at least one character"
    if _ways(parsed) > _MOST_WAYS:
        return (
            "could take minutes on a text that was made for it; give its repeats an upper bound, such as {1,40} in the "
            "place of +"
        )
    return ""


@lru_cache(maxsize=64)
def compiled(patterns: tuple[str, ...]) -> tuple[re.Pattern[str], ...]:
    """Patterns that have no problem, ready for use."""
    return tuple(re.compile(pattern) for pattern in patterns)


def spans(pattern: re.Pattern[str], text: str) -> Iterator[tuple[int, int]]:
    """Where it matches, piece by piece; places may overlap."""
    for start in range(0, max(1, len(text) - PIECE // 2), PIECE // 2):
        for found in pattern.finditer(text, start, start + PIECE):
            yield found.span()


def _ways(parsed: Iterable[tuple[Any, Any]]) -> int:
    """
    An upper bound of the ways in which the engine can go through a piece, capped just above the most that is allowed.

    One thing after the other multiplies, a choice adds, and a repeat of what can match in one way only has as many as
    it has lengths. A repeat of what can itself match in several ways multiplies with each round, which is the case
    that explodes.
    """
    ways = 1
    for op, argument in parsed:
        ways = min(ways * _ways_of(str(op), argument), _MOST_WAYS + 1)
    return ways


def _ways_of(op: str, argument: Any) -> int:
    match op:
        case "BRANCH":
            return sum(_ways(choice) for choice in argument[1])
        case "SUBPATTERN":
            return _ways(argument[3])
        case "ATOMIC_GROUP":
            return _ways(argument)
        case "ASSERT" | "ASSERT_NOT":
            return _ways(argument[1])
        case "GROUPREF_EXISTS":
            return _ways(argument[1]) + _ways(argument[2] or ())
        case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
            least, most, body = argument
            least, most = min(int(least), PIECE), min(int(most), PIECE)
            inner = _ways(body)
            if inner == 1:
                return most - least + 1
            total = 0
            for rounds in range(least, most + 1):
                total += inner**rounds
                if total > _MOST_WAYS:
                    break
            return total
        case _:
            return 1
