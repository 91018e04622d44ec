"""The shipped recordings, the sample organisation made of them, and its traffic."""

from __future__ import annotations

from datetime import timedelta
from threading import Event

import pytest

from watchdog.embedded.executions import Filter
from watchdog.embedded.recordings import STREAMS, VARIANTS, load_recording
from watchdog.embedded.sample import SAMPLE_PROMPTS, sample_traffic, seed_sample
from watchdog.embedded.server import EmbeddedPlatform
from watchdog.embedded.timestamps import stamp_ms
from watchdog.embedded.traffic import Traffic

# Published by the source for GPT-4 (March and June 2023): primes 84.0 % and 51.1 %; ours are recomputed, see README.
SUCCESS = {
    ("prime/gpt-4", "0314"): 0.840,
    ("prime/gpt-4", "0613"): 0.502,
    ("happynumber/gpt-4", "0314"): 0.836,
    ("happynumber/gpt-4", "0613"): 0.352,
    ("opinionqa/gpt-3.5-turbo", "0301"): 0.937,
    ("opinionqa/gpt-3.5-turbo", "0613"): 0.967,
}


@pytest.fixture
def platform(tmp_path, clock):
    platform = EmbeddedPlatform(tmp_path / "embedded.db", clock, durable=False)
    yield platform
    platform.stop()


def test_the_recordings_have_the_known_effect():
    """
    Success rates by stream and model version, to three decimals.
    """
    found = {
        (stream, variant): round(
            sum(call.ok for call in load_recording(stream, variant)) / len(load_recording(stream, variant)), 3
        )
        for stream in STREAMS
        for variant in VARIANTS[stream]
    }

    assert SUCCESS == found


def test_a_recorded_call_says_what_the_source_says_and_no_more():
    """
    The first happy-number call: 42.171984 s, 1129 tokens, 0.069 dollars; input tokens are not recorded.
    """
    call = load_recording("happynumber/gpt-4", "0314")[0]

    assert pytest.approx(42171.984) == call.latency_ms
    assert (True, "", 0.069, None, 1129, None) == (
        call.ok,
        call.error_code,
        call.cost_usd,
        call.input_tokens,
        call.output_tokens,
        call.cached_tokens,
    )
    assert ("gpt-4-0314", "openai") == (call.model, call.provider)


def test_an_unknown_recording_says_which_there_are():
    """
    All three streams with their variants.
    """
    with pytest.raises(ValueError, match="prime/gpt-4 0314 or 0613"):
        load_recording("prime/gpt-4", "0301")


def test_the_sample_has_prompts_on_their_first_version_with_a_day_of_calls(platform, clock):
    """
    Three with versions to promote, three that nobody changes; the last call is no older than a minute, the first no
    older than 23 hours and a bit.
    """
    seeded = seed_sample(platform.admin, clock)

    changed, steady = seeded[:3], seeded[3:]
    assert ["is-prime", "happy-numbers", "opinion-survey"] == [prompt.slug for prompt in changed]
    assert ["prime-audit", "reader-poll", "visitor-poll"] == [prompt.slug for prompt in steady]
    assert [["1.0.0", "1.1.0", "1.2.0"]] * 3 == [list(prompt.versions) for prompt in changed]
    assert [["1.0.0"]] * 3 == [list(prompt.versions) for prompt in steady]
    for prompt in seeded:
        assert prompt.versions["1.0.0"] == platform.admin.registry.prompt(prompt.prompt_id)["productionVersionId"]
        stamps = [row.created_ms for row in platform.admin.executions.rows(Filter(prompt_id=prompt.prompt_id))]
        now_ms = stamp_ms(clock.now())
        assert 0 < now_ms - max(stamps) <= 60_000
        assert now_ms - min(stamps) <= timedelta(hours=23, minutes=1) / timedelta(milliseconds=1)


def test_seeding_twice_changes_nothing(platform, clock, tmp_path):
    """
    Not a byte of the file, even a day later and with another version on production.
    """
    first = seed_sample(platform.admin, clock)
    platform.admin.promote(first[0].prompt_id, first[0].versions["1.2.0"])
    clock.move(hours=24)
    before = (tmp_path / "embedded.db").read_bytes()

    second = seed_sample(platform.admin, clock)

    assert first == second
    assert before == (tmp_path / "embedded.db").read_bytes()


def test_a_seeding_that_was_cut_off_is_finished_by_the_next(platform, clock):
    """
    The prompt and one version were there already, without a recording.
    """
    sample = SAMPLE_PROMPTS[0]
    prompt_id = platform.admin.create_prompt(sample.slug, sample.name)
    platform.admin.save_version(prompt_id, model=sample.versions[0].model)

    seeded = seed_sample(platform.admin, clock)[0]

    assert prompt_id == seeded.prompt_id
    assert 3 == len(seeded.versions)
    assert all(platform.simulated.recorded(version_id) for version_id in seeded.versions.values())
    assert 500 == platform.admin.executions.count(prompt_id)


def test_prompts_that_nobody_changes_answer_alike_all_the_time(platform, clock):
    """
    The halves of what they replay differ by less than five points: a drift of theirs would look like their provider's.
    """
    for prompt in seed_sample(platform.admin, clock)[3:]:
        calls = platform.simulated.recording(prompt.versions["1.0.0"])
        half = len(calls) // 2
        rates = [sum(call.ok for call in part) / half for part in (calls[:half], calls[-half:])]
        assert abs(rates[0] - rates[1]) < 0.05, prompt.slug


def test_the_harmless_version_replays_the_same_recording_as_the_first(platform, clock):
    """
    The recorded calls of one model version, dealt in turn to both, in the order in which they were made.
    """
    seeded = seed_sample(platform.admin, clock)[0]
    dealt = {label: platform.simulated.recording(seeded.versions[label]) for label in ("1.0.0", "1.1.0")}
    recorded = load_recording("prime/gpt-4", "0314")

    assert recorded[0::2] == dealt["1.0.0"]
    assert recorded[1::2] == dealt["1.1.0"]


def test_the_harmful_version_shows_plausible_culprits(platform, clock):
    """
    Another temperature, a stop sequence, and no more "step by step".
    """
    seeded = seed_sample(platform.admin, clock)[0]
    bad = platform.admin.registry.version(seeded.prompt_id, seeded.versions["1.2.0"])
    good = platform.admin.registry.version(seeded.prompt_id, seeded.versions["1.0.0"])

    assert bad["temperature"] > good["temperature"]
    assert (["\n\n"], []) == (bad["stopSequences"], good["stopSequences"])
    assert "step by step" in good["content"]["system"]
    assert "step by step" not in bad["content"]["system"] + bad["content"]["user"]


def test_traffic_calls_each_prompt_at_a_steady_rate(platform, system_clock):
    """
    50 a second for as long as 20 calls take, in turn, with variables that the prompts accept.
    """
    seed_sample(platform.admin, system_clock)
    begun_s = system_clock.monotonic()
    with Traffic(platform.start(), platform.admin.create_token(), system_clock, 50.0, sample_traffic()) as traffic:
        while traffic.counts.sent < 21 or traffic.counts.succeeded + traffic.counts.failed < 18:
            assert system_clock.monotonic() - begun_s < 10.0
            system_clock.wait(Event(), 0.005)
        took_s = system_clock.monotonic() - begun_s

    assert took_s > 0.35
    served = [platform.admin.executions.served(_live(platform, slug)) for slug in sample_traffic()]
    assert max(served) - min(served) <= 1
    assert 0 == traffic.counts.skipped


def _live(platform, slug):
    return platform.admin.registry.prompt(platform.admin.prompt_id(slug))["productionVersionId"]


def test_traffic_goes_on_when_the_gateway_fails(platform, system_clock):
    """
    Failures are counted, and it still stops.
    """
    seed_sample(platform.admin, system_clock)
    platform.simulated.fail(status=503)
    with Traffic(platform.start(), platform.admin.create_token(), system_clock, 200.0, sample_traffic()) as traffic:
        while traffic.counts.failed < 5:
            system_clock.wait(Event(), 0.005)
        platform.stop()
        sent = traffic.counts.sent
        while traffic.counts.sent < sent + 5:
            system_clock.wait(Event(), 0.005)

    assert 0 == traffic.counts.succeeded


# What is cut off leaves its transport to the collector, which may come by within this test.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_traffic_stops_promptly_while_calls_wait_for_minutes(tmp_path, system_clock):
    """
    The calls under way are cut off.
    """
    with EmbeddedPlatform(tmp_path / "slow.db", system_clock, wait_factor=1.0, durable=False) as platform:
        seed_sample(platform.admin, system_clock)
        slow = {"happy-numbers": sample_traffic()["happy-numbers"]}
        traffic = Traffic(platform.base_url, platform.admin.create_token(), system_clock, 100.0, slow)
        traffic.start()
        while traffic.counts.sent < 5:
            system_clock.wait(Event(), 0.005)
        begun_s = system_clock.monotonic()
        traffic.stop()
        assert system_clock.monotonic() - begun_s < 15.0  # not the minutes that a call takes


@pytest.mark.parametrize(("rate", "prompts"), [(0.0, {"a": [{}]}), (1.0, {}), (1.0, {"a": []})])
def test_traffic_that_cannot_be_is_refused(system_clock, rate, prompts):
    """
    Before a thread is started.
    """
    with pytest.raises(ValueError, match=r"calls_per_s|prompts"):
        Traffic("http://127.0.0.1:1", "phk_", system_clock, rate, prompts)
