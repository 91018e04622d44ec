"""Somebody else's text, made harmless."""

from __future__ import annotations

import pytest

from watchdog.notify.harmless import cleaned, clipped, first_lines, one_line, width


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("a\x1b[31mred\x1b[0m", "a[31mred[0m"),
        ("pass\u202eworks\u202c", "passworks"),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("half \ud83d pair", "half  pair"),
        ("two\r\nlines\u2028and a third", "two\nlines\nand a third"),
        ("tab\there", "tab    here"),
        ("\n\n", "-"),
        ("", "-"),
    ],
)
def test_only_visible_characters_are_left(text: str, expected: str) -> None:
    """Escape sequences, bidi overrides and zero-width letters are gone; line ends are line feeds."""
    assert expected == cleaned(text)


def test_one_line_folds_blanks_and_line_ends() -> None:
    """Whatever had several lines has one."""
    assert "a b c" == one_line(" a\n\n b\t\t c ")


def test_a_text_of_exactly_the_limit_is_left_alone() -> None:
    """n fits."""
    assert "x" * 100 == clipped("x" * 100, 100)


def test_a_text_one_longer_than_the_limit_says_how_much_is_left_out() -> None:
    """n + 1 does not fit, and the remark counts what is missing."""
    text = clipped("x" * 101, 100)

    assert "x" * 78 + "… (23 more characters)" == text


@pytest.mark.parametrize("n", [50, 60, 99, 100, 101, 1_000, 100_000])
@pytest.mark.parametrize("character", ["x", "🔴"])
def test_what_is_kept_and_what_is_left_out_make_the_whole(n: int, character: str) -> None:
    """No character is lost without being counted, and the limit holds in UTF-16 units."""
    text = clipped(character * n, 60)

    kept = text.count(character)
    left_out = int(text.split("(")[1].split(" ")[0].replace(",", "")) if "…" in text else 0
    assert n == kept + left_out
    assert sum(map(width, text)) <= 60


def test_left_out_lines_are_counted() -> None:
    """The last line says how many more there are."""
    assert ("a", "b", "c") == first_lines(["a", "b", "c"], 3, "changes")
    assert ("a", "b", "… 2 more changes") == first_lines(["a", "b", "c", "d"], 3, "changes")
