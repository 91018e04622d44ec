"""
What must not be kept of a body: each rule finds the places of one kind in a view of the text.

They err on the side of taking out, but for numbers: prices, dates, ids of a few digits and versions are what one looks
for in a failing answer, so a number is a phone or a card only where its shape says so.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

# In a view, where a mark stands in the text. No rule takes it for a part of anything.
MARK = "\x00"
MARKS = ("secret", "key", "token", "mail", "phone", "card", "iban")

Span = tuple[int, int, str]


@dataclass(frozen=True)
class View:
    """
    A text as rules see it.

    Attributes:
        starts, ends: of each of its characters, where it stands in the text itself: an escape is longer than one.
    """

    text: str
    starts: list[int]
    ends: list[int]

    def width(self, place: int) -> int:
        """How long the character is in the text: a quote in quotes is longer than the quote around it."""
        return self.ends[place] - self.starts[place]


Rule = Callable[[View], Iterator[Span]]


# Shapes that only a secret has.
_SECRETS = re.compile(
    r"""phk_[0-9A-Za-z]{8,}+
      | (?<![A-Za-z0-9])(?:sk|pk|rk)[-_][A-Za-z0-9_-]{16,}+
      | xox[a-z]{1,2}[.-][A-Za-z0-9.-]{8,}+ | xapp-[A-Za-z0-9-]{8,}+
      | gh[opsur]_[A-Za-z0-9]{16,}+ | github_pat_[A-Za-z0-9_]{16,}+ | glpat-[A-Za-z0-9_-]{16,}+
      | (?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}
      | AIza[0-9A-Za-z_-]{30,}+ | ya29\.[0-9A-Za-z_-]{16,}+
      | npm_[A-Za-z0-9]{30,}+ | pypi-[A-Za-z0-9_-]{16,}+ | hf_[A-Za-z0-9]{20,}+
      | SG\.[A-Za-z0-9_-]{16,}+(?:\.[A-Za-z0-9_-]++)?
      | hooks\.slack\.com/services/[A-Za-z0-9/_-]++
      | (?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{6,}+\.[A-Za-z0-9_-]++(?:\.[A-Za-z0-9_-]++)?""",
    re.VERBOSE,
)
# The value in `://user:value@`.
_IN_URL = re.compile(r"://[^\s/@:\x00]{0,256}+:([^\s/@\x00]{1,256}+)@")
_BEARER = re.compile(
    r"""authorization["']{0,2}\s{0,3}[:=]\s{0,3}["']?(?:[a-z]{1,20}\s{1,3})?+([^\s"',;\x00]++)
      | (?<![a-z])bearer\s{1,3}((?=[^\s\x00]{0,40}[0-9])[a-z0-9._~+/=-]{6,}+ | [a-z0-9._~+/=-]{20,}+)
      | (?<![a-z])cookie2?:[ ]?([^\n\x00]++)""",
    re.VERBOSE | re.IGNORECASE,
)
# A name that says that its value is secret, up to where the value begins.
_KEYED = re.compile(
    r"""(?:pass(?:word|wd|phrase|code)\w{0,20} | pwd\d{0,3} | secret(?:[_-]\w{1,20}|key)?
          | (?:api|access|private|auth|encryption|signing)[ _-]?key | credentials? | session[_-]?id
          | (?<![a-z])(?:pin|cvc|cvv2?)
          | token(?:[_-](?:value|secret|key))?)
        ["']{0,2} \s{0,4} (?:=>|[:=]) \s{0,4}""",
    re.VERBOSE | re.IGNORECASE,
)
_BARE_VALUE = re.compile(r"[^\s\"',;&<>(){}\[\]\x00]++")
_PEM_BEGIN = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}-----")
_PEM_END = re.compile(r"-----END [A-Z0-9 ]{0,40}-----")


def _secrets(view: View) -> Iterator[Span]:
    for found in _SECRETS.finditer(view.text):
        yield (*found.span(), "secret")
    for found in _IN_URL.finditer(view.text):
        yield (*found.span(1), "secret")
    for found in _BEARER.finditer(view.text):
        yield (*found.span(found.lastindex or 0), "secret")


def _keyed(view: View) -> Iterator[Span]:
    at = 0
    while (found := _KEYED.search(view.text, at)) is not None:
        start, end = _value(view, found.end())
        at = max(found.end(), end)
        if start < end:
            yield start, end, "secret"


def _value(view: View, at: int) -> tuple[int, int]:
    """Where the value lies that begins here: between quotes, or up to a blank or a bracket."""
    text = view.text
    quote = text[at : at + 1]
    if quote not in ('"', "'"):
        bare = _BARE_VALUE.match(text, at)
        return (at, at) if bare is None else bare.span()
    end = text.find(quote, at + 1)
    while end >= 0 and view.width(end) > view.width(at):
        end = text.find(quote, end + 1)  # a quote within the value
    # A body that was cut within the value has no second quote.
    return at + 1, len(text) if end < 0 else end


def _pem(view: View) -> Iterator[Span]:
    at = 0
    while (begin := _PEM_BEGIN.search(view.text, at)) is not None:
        end = _PEM_END.search(view.text, begin.end())
        at = len(view.text) if end is None else end.end()
        yield begin.start(), at, "key"


_RUN = re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{20,}+={0,2}")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_HEX = re.compile(r"[0-9a-fA-F]{32,}")
_WORD = re.compile(r"[a-z]{4,}|[A-Z]{4,}")


def _random(view: View) -> Iterator[Span]:
    for found in _RUN.finditer(view.text):
        if _looks_random(found[0]):
            yield (*found.span(), "token")


def _looks_random(run: str) -> bool:
    """No word, path, slug or UUID: letters and digits as no language mixes them."""
    if _UUID.fullmatch(run):
        return False
    lower, upper, digits = (any(test(c) for c in run) for test in (str.islower, str.isupper, str.isdigit))
    if _HEX.fullmatch(run):
        return digits and (lower or upper)
    if not digits or sum(map(len, _WORD.findall(run))) > len(run) / 2:
        return False
    if lower and upper:
        return len(run) >= 32 and _bits(run) >= 4.2 if "/" in run else _bits(run) >= 3.5
    return len(run) >= 32 and not set(run) & set("-_/") and _bits(run) >= 3.8


def _bits(run: str) -> float:
    """Shannon entropy of its letters, in bits a letter."""
    return -sum(n / len(run) * math.log2(n / len(run)) for n in Counter(run).values())


_LOCAL = r"[\w.+%~&!*^#$-]"
_MAIL = re.compile(rf"(?<!{_LOCAL}){_LOCAL}++(?:'{_LOCAL}++){{0,3}}+@[\w-]++(?:\.[\w-]++)++")


def _mails(view: View) -> Iterator[Span]:
    for found in _MAIL.finditer(view.text):
        # `3 units@3.50` is a price.
        if any(c.isalpha() for c in found[0].rpartition(".")[2]):
            yield (*found.span(), "mail")


_PHONES = re.compile(
    r"""(?<!\d)\+[ ]?\(?[1-9]\d{0,3}\)?(?:[ ().\-/]{0,2}\d){6,13}(?!\d)                  # +49 170 1234567
      | (?<![\d.,])00[1-9]\d{0,2}[ ./-](?:[ ().\-/]{0,2}\d){6,12}(?!\d)                  # 0049 170 1234567
      | (?<![\d.])\(\d{2,5}\)[ -]?\d{3,4}[ -]?\d{3,5}(?!\d)                              # (555) 123-4567
      | (?<![\d.-])(?:1[-. ])?\d{3}(?P<sep>[-. ])\d{3}(?P=sep)\d{4}(?![\d-])             # 555-123-4567""",
    re.VERBOSE,
)
_TRUNK_PHONE = re.compile(r"(?<![\d.,:/-])0\d{1,4}[ /-]\d{2,8}(?:[ -]\d{2,8}){0,3}(?![\d:])")
_KEYED_PHONE = re.compile(
    r"""(?<![a-z])(?:tele)?(?:phone|mobile|tel|fax|whatsapp)(?:[_-]?(?:no|nr|number))?["']{0,2}\s{0,3}[:=]\s{0,3}["']?
        (\+?[\d(][\d ().\-/]{4,20}\d)""",
    re.VERBOSE | re.IGNORECASE,
)


def _phones(view: View) -> Iterator[Span]:
    for found in _PHONES.finditer(view.text):
        yield (*found.span(), "phone")
    for found in _TRUNK_PHONE.finditer(view.text):
        if 9 <= sum(c.isdigit() for c in found[0]) <= 12:
            yield (*found.span(), "phone")
    for found in _KEYED_PHONE.finditer(view.text):
        yield (*found.span(1), "phone")


_DIGITS = re.compile(r"(?<!\d)\d(?:[ -]?\d){12,}+")


def _cards(view: View) -> Iterator[Span]:
    for found in _DIGITS.finditer(view.text):
        places = [place for place in range(*found.span()) if view.text[place] not in " -"]
        digits = [int(view.text[place]) for place in places]
        # Where a group of digits begins; a card begins and ends with one.
        begins = [n == 0 or places[n] != places[n - 1] + 1 for n in range(len(places))] + [True]
        sums = _luhn_sums(digits)
        for first in (n for n in range(len(places)) if begins[n]):
            for length in range(13, min(19, len(places) - first) + 1):
                last = first + length
                if begins[last] and _issued(digits[first:last]) and _luhn(sums, first, last):
                    yield places[first], places[last - 1] + 1, "card"


def _luhn_sums(digits: list[int]) -> tuple[list[int], list[int]]:
    """Running sums with every digit at an even place doubled, and with every one at an odd place."""
    even, odd = [0], [0]
    for place, digit in enumerate(digits):
        doubled = digit * 2 - 9 if digit > 4 else digit * 2
        even.append(even[-1] + (digit if place % 2 else doubled))
        odd.append(odd[-1] + (doubled if place % 2 else digit))
    return even, odd


def _luhn(sums: tuple[list[int], list[int]], first: int, last: int) -> bool:
    """The last digit is not doubled, the one before it is."""
    running = sums[last % 2]
    return (running[last] - running[first]) % 10 == 0


def _issued(digits: list[int]) -> bool:
    """Whether a card can begin so and be so long: a timestamp or an id passes Luhn's test one time in ten."""
    four = int("".join(map(str, digits[:4])))
    n = len(digits)
    match four // 100:
        case two if 40 <= two <= 49:
            return n in (13, 16, 19)
        case two if 51 <= two <= 55 or 2221 <= four <= 2720:
            return n == 16
        case 34 | 37:
            return n == 15
        case 30 | 36 | 38 | 39:
            return 14 <= n <= 19
        case 35:
            return n >= 16
        case two:
            return two == 50 or 56 <= two <= 69


_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?:[ ]?[A-Za-z0-9]){11,30}(?![A-Za-z0-9])")
_GROUP_END = re.compile(r"(?<=[A-Za-z0-9])(?![A-Za-z0-9])")


def _ibans(view: View) -> Iterator[Span]:
    for found in _IBAN.finditer(view.text):
        ends = [end.start() for end in _GROUP_END.finditer(found[0])]
        for end in reversed(ends):
            compact = found[0][:end].replace(" ", "").upper()
            if 15 <= len(compact) <= 34 and _mod_97(compact) == 1:
                yield found.start(), found.start() + end, "iban"
                break


def _mod_97(iban: str) -> int:
    return int("".join(str(int(c, 36)) for c in iban[4:] + iban[:4])) % 97


RULES: tuple[Rule, ...] = (_pem, _secrets, _keyed, _mails, _cards, _ibans, _phones, _random)
