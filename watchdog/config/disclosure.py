"""
What of a configuration may be printed.

Secrets belong into the environment or into files of their own, yet people paste them into the wrong place. An error
message must not carry them on into a terminal, a log or a bug report.
"""

from __future__ import annotations

import datetime as dt
import difflib
import re
from functools import lru_cache

_LONGEST_VALUE = 60
_LONGEST_NAME = 300
# What a pack of somebody's own calls its rules is listed as well.
_MOST_LISTED, _LONGEST_LISTED = 20, 40
_SECRET_KEY_WORDS = ("token", "webhook", "secret", "password", "passwd", "credential", "apikey", "auth")
_HOW_ALIKE = 0.7
_CREDENTIAL = re.compile(
    r"""xox[a-z]+[.-] | xapp- | phk_ | \bsk[-_] | \bgh[opsu]_ | \beyJ      # Slack, PromptHelm, others, JWT
      | \bbearer\s | hooks\.slack\.com/ | password=
      | //[^/\s"']*@                                                      # user or user:password in a URL
      | (?=(?:[a-z+=]*[0-9]){3})(?=[0-9+=]*[a-z])[a-z0-9+=]{20,}          # a long run of letters and digits
    """,
    re.VERBOSE | re.IGNORECASE,
)
# Shapes that nothing else has: what is refused for them has no other way in, as a prompt's name has not.
_TOKEN = re.compile(
    r"""\bphk_(?=[a-z]*[0-9])[0-9a-z]{16} | \bxox[abceprs][.-](?=[a-z.-]*[0-9])[0-9a-z.-]{10}
      | \bxapp-[0-9]-[0-9a-z-]{10}
      | \bgh[oprsu]_[0-9a-z]{30} | \bsk-lf-[0-9a-f-]{30} | hooks\.slack\.com/services/[0-9a-z]""",
    re.VERBOSE | re.IGNORECASE,
)


def looks_secret(text: str) -> bool:
    """Whether the text may hold a credential. Errs on the side of yes."""
    return _CREDENTIAL.search(text) is not None or holds_token(text)


def holds_token(text: str) -> bool:
    """Whether the text holds what can only be a credential. Errs on the side of no."""
    return _TOKEN.search(text) is not None


@lru_cache(maxsize=1024)
def names_secret(key: str) -> bool:
    """Whether a key of this name may hold a credential, misspelt names included."""
    name = key.lower()
    if name.endswith("key") or any(word in name for word in _SECRET_KEY_WORDS):
        return True
    return bool(difflib.get_close_matches(name, _SECRET_KEY_WORDS, n=1, cutoff=_HOW_ALIKE))


def shown(value: object) -> str:
    """A TOML value in words, short enough for a message; a text that looks like a credential is not repeated."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return _shown_text(value)
        case int():
            return f"the whole number {value}" if abs(value) < 10**18 else "a very large whole number"
        case float():
            return f"the number {value}"
        case list():
            return "an array"
        case dict():
            return "a table"
        case dt.datetime() | dt.date() | dt.time():
            return "a date or time"
        case _:
            return "something else"


def quoted(name: str, longest: int = _LONGEST_NAME) -> str:
    """A name for a message, in backticks."""
    if looks_secret(name):
        return "(hidden: it looks like a secret)"
    return f"`{_printable(name)[:longest]}`"


def source_line(line: str) -> str | None:
    """The line for the caret to point into, one character a column; None where it may hold a credential."""
    return None if looks_secret(line) else _printable(line)


def nearest(wrong: str, allowed: tuple[str, ...]) -> str | None:
    """The allowed name that was probably meant; None where nothing comes close."""
    return next(iter(difflib.get_close_matches(wrong.lower(), allowed, n=1)), None)


def did_you_mean(wrong: str, allowed: tuple[str, ...]) -> str:
    """`did you mean ...?`, or the empty string where nothing comes close."""
    close = nearest(wrong, allowed)
    return f"did you mean {quoted(close, _LONGEST_LISTED)}?" if close else ""


def unknown(what: str, wrong: str, allowed: tuple[str, ...], label: str) -> str:
    """
    `<what> <wrong>; did you mean ...? <label>: ...`.

    Args:
        label: what the allowed names are called.
    """
    hint = did_you_mean(wrong, allowed)
    return f"{what} {quoted(wrong)}; {hint + ' ' if hint else ''}{label}: {listed(allowed)}"


def listed(names: tuple[str, ...]) -> str:
    """Names in backticks, with commas; of very many the first, and how many more."""
    shown_names = ", ".join(quoted(name, _LONGEST_LISTED) for name in names[:_MOST_LISTED])
    more = len(names) - _MOST_LISTED
    return f"{shown_names} and {more} more" if more > 0 else shown_names


def _shown_text(text: str) -> str:
    if not text:
        return "an empty text"
    if looks_secret(text):
        return "a text that looks like a secret (not shown)"
    if len(text) > _LONGEST_VALUE:
        return f'the text "{_printable(text[:_LONGEST_VALUE])}..."'
    return f'"{_printable(text)}"'


def _printable(text: str) -> str:
    # One character for one: the caret must stay below the right column, whatever a terminal does with a tab.
    return "".join(character if character.isprintable() else " " for character in text)
