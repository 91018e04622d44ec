"""One text for one value, one number for one instant; and hashes that another version of this program finds again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.builders import T0
from watchdog.core.canonical import canonical, instant, instant_or_none, sha256_of, us, us_or_none
from watchdog.core.chain import NO_HASH, Fact, Head, following


def test_the_order_of_keys_changes_no_hash() -> None:
    """A database hands them back as it likes."""
    assert sha256_of({"a": 1, "b": {"c": 2, "d": 3}}) == sha256_of({"b": {"d": 3, "c": 2}, "a": 1})
    assert '{"a":"\\u00e9","b":0.1}' == canonical({"b": 0.1, "a": "é"})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_json_has_no_word_for_is_refused(value: float) -> None:
    """Rather than written in a way that others cannot read."""
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical(value)


@pytest.mark.parametrize(
    "at", [T0, T0 + timedelta(microseconds=1), datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)]
)
def test_an_instant_comes_back_to_the_microsecond(at: datetime) -> None:
    """Also one before 1970, of a clock that was set."""
    assert at == instant(us(at))
    assert (at, None) == (instant_or_none(us_or_none(at)), instant_or_none(us_or_none(None)))


def test_the_hash_of_an_entry_is_what_it_has_always_been() -> None:
    """A chain that was written by an earlier version must still be whole by this one."""
    fact = Fact(
        at=datetime(2026, 11, 26, 12, 0, 0, 123_456, tzinfo=UTC),
        kind="decided",
        subject="s",
        detail={"b": 0.1, "a": "é"},
        actor="ana",
    )

    assert (
        "6d22e795fe465eee6a0a3ca9a1a4198daa66b238c5418fafdf6e380dc895b129"
        == following(Head(seq=7, hash=NO_HASH), fact).hash
    )
