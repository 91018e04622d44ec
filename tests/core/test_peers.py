"""Whom a candidate is compared beside."""

from __future__ import annotations

import pytest
from numpy.testing import assert_allclose

from tests.builders import rule_set, success_rule
from watchdog.core.peers import Sample, choose, weights, widened
from watchdog.core.rules import Metric, Rule, Statistic


def sample(slug: str, *, provider: str = "openai", model: str = "m", calls_per_hour: float = 100.0) -> Sample:
    return Sample(
        prompt_id=f"id-{slug}",
        slug=slug,
        version_id="v1",
        provider=provider,
        model=model,
        calls_per_hour=calls_per_hour,
    )


OURS = sample("ours")


@pytest.mark.parametrize(
    ("others", "chosen"),
    [
        # Three are enough when they make three times the calls and none makes more than half of them.
        ([sample(s) for s in "abcd"], "abc"),
        # Other providers saw other weather.
        ([sample("a"), sample("b", provider="other"), sample("c", provider="OpenAI")], "ac"),
        # The same model first, then the busiest.
        ([sample("a", model="n", calls_per_hour=900.0), sample("b"), sample("c"), sample("d")], "bcd"),
        # One that makes nearly all calls is not enough of them, and they are not three times the calls.
        ([sample("a", calls_per_hour=900.0), *(sample(s, calls_per_hour=50.0) for s in "bcd")], "abcd"),
        ([sample(s, calls_per_hour=20.0) for s in "abcdefghij"], "abcdefgh"),
        # Hardly any calls say nothing.
        ([sample("a", calls_per_hour=0.5), sample("b")], "b"),
        ([sample("a")], "a"),
        ([], ""),
    ],
)
def test_peers_are_several_of_the_same_provider_with_enough_calls(others: list[Sample], chosen: str) -> None:
    """The same model first."""
    assert list(chosen) == [peer.slug for peer in choose(OURS, others, {}).peers]


def test_a_prompt_that_was_promoted_lately_is_no_peer() -> None:
    """What it shows may be its own doing; where nobody is left, the reason is said."""
    others = [sample("a"), sample("b")]

    assert ["b"] == [p.slug for p in choose(OURS, others, {"id-a": "promoted lately"}).peers]
    none = choose(OURS, others, {"id-a": "promoted lately", "id-b": "promoted lately"})
    assert ((), "no peers: of 2 other prompts on openai none will do: promoted lately") == (none.peers, none.note)


def test_without_a_name_of_the_provider_the_model_tells() -> None:
    """Where neither is known, nobody is a peer."""
    nameless = sample("ours", provider="")
    others = [sample("a", provider=""), sample("b", provider="", model="n"), sample("c")]

    assert ["a"] == [p.slug for p in choose(nameless, others, {}).peers]
    assert () == choose(sample("ours", provider="", model=""), others, {}).peers


def test_the_note_says_with_whom_and_how_busy_they_are() -> None:
    """One sentence, with its number."""
    assert (
        "beside 3 peers on openai (a, b, c, 3.0 times its calls)" == choose(OURS, [sample(s) for s in "abc"], {}).note
    )
    assert "no peers: no other prompt on openai has calls" == choose(OURS, [sample("a", provider="x")], {}).note
    assert (
        "no peers: 1 other prompt on openai make too few calls"
        == choose(OURS, [sample("a", calls_per_hour=0.1)], {}).note
    )


def test_no_peer_counts_for_more_than_all_others_together() -> None:
    """However busy it is."""
    assert_allclose([0.2, 1.0, 1.0], weights([1000.0, 100.0, 100.0]))
    assert_allclose([1.0, 1.0, 1.0], weights([100.0, 100.0, 100.0]))
    assert_allclose([0.1, 1.0], weights([1000.0, 100.0]))
    assert_allclose([1.0], weights([1000.0]))


def test_without_peers_margins_are_half_as_wide_again_and_limits_are_not() -> None:
    """Time may have done a part of it; what a user states holds."""
    floor = Rule(name="floor", metric=Metric.SUCCESS, statistic=Statistic.LIMIT, limit_share=0.5)
    wide = widened(rule_set(success_rule(margin_abs=0.02, margin_rel=0.1), floor))

    assert (pytest.approx(0.03), pytest.approx(0.15)) == (wide.rules[0].margin_abs, wide.rules[0].margin_rel)
    assert floor == wide.rules[1]
    assert wide.digest == rule_set(success_rule()).digest
