"""What stands in the ledger of a watch, and what was done about it: a sentence with its numbers for each."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.builders import MINUTE, T0, call, promotion, reading, rule_set, success_rule
from watchdog.core import ledger
from watchdog.core.circumstances import Circumstances, Pace, Silence
from watchdog.core.judge import Progress, begin, judge
from watchdog.core.judgement import Cause, Judgement, ReadingState
from watchdog.core.ledger import Entry, Kind, Nearby, Treatment, for_notice
from watchdog.core.panel import Panel, assemble
from watchdog.core.rules import Metric, Rule, Statistic
from watchdog.core.watch import Verdict
from watchdog.core.windows import Summary, summarise

RULES = (
    success_rule(),
    Rule(name="p95", metric=Metric.LATENCY, statistic=Statistic.QUANTILE, quantile=0.95, margin_rel=0.2),
    Rule(name="cost", metric=Metric.COST, statistic=Statistic.MEAN, margin_rel=0.15),
    Rule(name="floor", metric=Metric.ERROR_KIND, statistic=Statistic.LIMIT, limit_share=0.5),
)
COMPARED = (Metric.SUCCESS, Metric.LATENCY, Metric.COST)
VALUES = (Metric.LATENCY, Metric.COST)
SECONDS = timedelta(seconds=1)


def requests(n: int = 400, **given: object) -> Summary:
    values = {"input_tokens": 1000, "cached_tokens": 800, "model": "large", **given}
    return summarise(call(i, latency_ms=800.0 + i % 50, cost_usd=0.01 + 1e-4 * (i % 50), **values) for i in range(n))  # type: ignore[arg-type]


def panel(around: Circumstances, baseline: Summary) -> Panel:
    assembled = assemble(rule_set(*RULES), baseline, n_windows=8640, min_baseline_calls=50)
    return replace(assembled, around=around)


def booked(
    candidate: Summary,
    *,
    around: Circumstances | None = None,
    baseline: Summary | None = None,
    judged: timedelta = 30 * MINUTE,
    judgement: Judgement | None = None,
    **given: object,
) -> tuple[Entry, ...]:
    """The ledger of a watch whose first call came at T0."""
    seats = panel(around or Circumstances(), baseline or requests())
    progress: Progress = replace(begin(seats), judged_until=T0 + judged, first_call_at=T0, candidate=candidate)
    said = judgement or judge(seats, progress)
    return ledger.entries(seats, progress, said, promoted_at=T0, **given)  # type: ignore[arg-type]


def other(slug: str, after: timedelta) -> Nearby:
    return Nearby(slug=slug, promotion=promotion("w2", at=T0 + after))


def test_what_did_not_move_is_not_in_the_ledger() -> None:
    """Calls like those of the baseline, nobody else promoted, and no cache serves anything else."""
    assert () == booked(requests())


@pytest.mark.parametrize(
    ("nearby", "sentence"),
    [
        (
            [other("refund", -3 * MINUTE)],
            "another prompt was promoted at about the same time: refund 3 min before",
        ),
        (
            [other("refund", 0 * MINUTE), other("invoice", 130 * SECONDS)],
            "2 other prompts were promoted at about the same time: refund at the same moment, invoice 2 min 10 s after",
        ),
        (
            [other(f"p{i}", i * MINUTE) for i in range(1, 6)],
            (
                "5 other prompts were promoted at about the same time: p1 1 min after, p2 2 min after, p3 3 min after "
                "and 2 more"
            ),
        ),
    ],
)
def test_prompts_that_were_promoted_at_about_the_same_time_are_named(nearby: list[Nearby], sentence: str) -> None:
    """With when, as far as three of them."""
    assert (Entry(kind=Kind.PROMOTIONS, treatment=Treatment.NAMED, sentence=sentence),) == booked(
        requests(), nearby=nearby
    )


MOVED = "most of all large 100.0 % -> 0.0 %"


@pytest.mark.parametrize(
    ("control", "candidate", "treatment", "sentence"),
    [
        (
            "large",
            "small",
            Treatment.NAMED,
            f"the model that answers moved, {MOVED}: the promotion changed the parameter from large to small",
        ),
        (
            "large",
            "large",
            Treatment.LOWERS,
            f"other models answer most calls, {MOVED}, and the parameter model is large in both versions",
        ),
        (
            "",
            "",
            Treatment.LOWERS,
            f"other models answer most calls, {MOVED}, and the parameter model of the versions is not known",
        ),
        (
            "large",
            "",
            Treatment.LOWERS,
            f"other models answer most calls, {MOVED}, and the parameter model of the versions is not known",
        ),
    ],
)
def test_another_model_is_the_promotions_doing_or_lowers_the_verdict(
    control: str, candidate: str, treatment: Treatment, sentence: str
) -> None:
    """By the parameter of both versions."""
    (entry,) = booked(requests(model="small"), around=Circumstances(control_model=control, candidate_model=candidate))

    metrics = COMPARED if treatment is Treatment.LOWERS else ()
    assert Entry(kind=Kind.MODEL, treatment=treatment, sentence=sentence, metrics=metrics) == entry


def test_a_third_of_the_calls_by_another_model_is_named() -> None:
    """A route that is shared out anew explains little."""
    (entry,) = booked(requests(300).merge(requests(150, model="small")))

    assert (Kind.MODEL, Treatment.NAMED) == (entry.kind, entry.treatment)
    assert "the model that answers moved, most of all large 100.0 % -> 66.7 %" == entry.sentence


def test_a_shift_of_the_input_tokens_is_corrected_for() -> None:
    """Latency and cost are compared at like input."""
    (entry,) = booked(
        requests(200).merge(requests(200, input_tokens=3000, cached_tokens=2400)),
        baseline=requests(300).merge(requests(100, input_tokens=3000, cached_tokens=2400)),
    )

    assert (Kind.TOKENS, Treatment.CORRECTED, VALUES) == (entry.kind, entry.treatment, entry.metrics)
    assert "input tokens per call 1,500 -> 2,000" in entry.sentence


def test_a_shift_of_the_input_tokens_that_explains_a_trip_lowers_the_verdict() -> None:
    """As `core.mix` found it; the ledger only writes it down."""
    explained = reading(ReadingState.EXPLAINED, cause=Cause.MIX)
    (entry,) = booked(
        requests(200).merge(requests(200, input_tokens=3000, cached_tokens=2400)),
        judgement=Judgement(verdict=Verdict.INCONCLUSIVE, reason="", readings=(explained,)),
    )

    assert (Kind.TOKENS, Treatment.LOWERS, (Metric.SUCCESS,)) == (entry.kind, entry.treatment, entry.metrics)


def test_segments_that_moved_are_corrected_for() -> None:
    """Each is compared with its own baseline."""
    (entry,) = booked(
        requests(100, segment="easy").merge(requests(300, segment="hard")),
        baseline=requests(300, segment="easy").merge(requests(100, segment="hard")),
    )

    assert (Kind.SEGMENTS, Treatment.CORRECTED, COMPARED) == (entry.kind, entry.treatment, entry.metrics)
    assert "segments moved, most of all easy 75.0 % -> 25.0 %" == entry.sentence


@pytest.mark.parametrize(
    ("judged", "treatment", "metrics", "tail"),
    [
        (9 * MINUTE, Treatment.LOWERS, VALUES, ": a cold cache warms up, 10 min are given to it"),
        (
            10 * MINUTE,
            Treatment.NAMED,
            (),
            ", and it did not warm up within 10 min: as sent now, less can be cached",
        ),
    ],
)
def test_a_cold_cache_lowers_the_verdict_for_ten_minutes(
    judged: timedelta, treatment: Treatment, metrics: tuple[Metric, ...], tail: str
) -> None:
    """Then it is what the prompt made of itself."""
    (entry,) = booked(requests(cached_tokens=100), judged=judged)

    sentence = f"input tokens from the provider's cache 80.0 % -> 10.0 %{tail}"
    assert Entry(kind=Kind.CACHE, treatment=treatment, sentence=sentence, metrics=metrics) == entry


def test_a_warmer_cache_than_before_is_no_matter_of_the_ledger() -> None:
    """It makes calls faster and cheaper."""
    assert () == booked(requests(cached_tokens=800), baseline=requests(cached_tokens=100))


@pytest.mark.parametrize(
    ("length", "treatment", "metrics"),
    [(14 * MINUTE, Treatment.NAMED, ()), (16 * MINUTE, Treatment.LOWERS, COMPARED)],
)
def test_a_silence_is_named_and_lowers_the_verdict_over_most_of_the_watch(
    length: timedelta, treatment: Treatment, metrics: tuple[Metric, ...]
) -> None:
    """Of thirty minutes."""
    silence = Silence(since=T0 + MINUTE, until=T0 + MINUTE + length)
    pace = Pace(calls_per_s=0.1, longest_silence=2 * MINUTE)
    (entry,) = booked(requests(), around=Circumstances(pace=pace, silences=(silence,)))

    minutes = length // MINUTE
    sentence = (
        f"no call for {minutes} min from 2026-11-20 12:01:00 UTC on, {6 * minutes} times as long as usual between two "
        "calls (the baseline's longest silence was 2 min)"
    )
    assert Entry(kind=Kind.GAP, treatment=treatment, sentence=sentence, metrics=metrics) == entry


def test_calls_of_other_versions_are_counted() -> None:
    """They count for neither side, and say how far the promotion has come."""
    (entry,) = booked(requests(400), other_versions=100)

    sentence = (
        "100 calls of other versions since the promotion (20.0 % of all): caches or clients still serve them; they "
        "count for neither side"
    )
    assert Entry(kind=Kind.OTHER_VERSIONS, treatment=Treatment.NAMED, sentence=sentence) == entry


def test_the_same_hours_a_week_ago_stand_in_the_ledger_where_they_hold_a_rule() -> None:
    """Each thing once, with the metrics that it holds."""
    because = "in the same hours a week ago it was as bad: failures 4.1 % (1,203 calls)"
    held = reading(ReadingState.EXPLAINED, cause=Cause.WEEK, because=because)
    awaited = reading(ReadingState.AWAITED, rule="p95", metric=Metric.LATENCY, cause=Cause.WEEK, because="being read")
    found = booked(
        requests(), judgement=Judgement(verdict=Verdict.INCONCLUSIVE, reason="", readings=(held, held, awaited))
    )

    lowered = Entry(kind=Kind.WEEK, treatment=Treatment.LOWERS, sentence=because, metrics=(Metric.SUCCESS,))
    assert (lowered,) == found


def test_without_a_baseline_the_ledger_still_names_what_it_knows() -> None:
    """Who else was promoted, and what caches serve."""
    seats = replace(assemble(rule_set(*RULES), None, n_windows=8640, min_baseline_calls=50), around=Circumstances())
    progress = replace(begin(seats), judged_until=T0 + MINUTE, first_call_at=T0, candidate=requests(model="small"))
    found = ledger.entries(
        seats, progress, judge(seats, progress), promoted_at=T0, nearby=[other("refund", MINUTE)], other_versions=1
    )

    assert [Kind.PROMOTIONS, Kind.OTHER_VERSIONS] == [entry.kind for entry in found]


@pytest.mark.parametrize("treatment", list(Treatment))
@pytest.mark.parametrize("kind", list(Kind))
def test_an_entry_comes_back_as_it_went_in(kind: Kind, treatment: Treatment) -> None:
    """From the database."""
    entry = Entry(kind=kind, treatment=treatment, sentence="it moved, 1 % -> 2 %", metrics=(Metric.SUCCESS,))

    assert entry == Entry.from_json(entry.to_json())


def test_a_message_has_the_gravest_lines_and_few_of_them() -> None:
    """What lowers a verdict before what is named, what is named before what is corrected for."""

    def entry(treatment: Treatment, sentence: str, *metrics: Metric) -> Entry:
        return Entry(kind=Kind.GAP, treatment=treatment, sentence=sentence, metrics=metrics)

    found = for_notice(
        [
            entry(Treatment.CORRECTED, "a", Metric.LATENCY, Metric.COST),
            entry(Treatment.NAMED, "b"),
            entry(Treatment.NAMED, "c"),
            entry(Treatment.LOWERS, "d", Metric.SUCCESS, Metric.ERROR_KIND),
        ]
    )

    assert (
        "d (nothing is concluded from success, error kind)",
        "b",
        "c",
        "a (corrected for: latency, cost)",
    ) == found
    assert 4 == len(for_notice([entry(Treatment.NAMED, "x")] * 9))
