"""The gateway with the simulated provider: which version answers, what is replayed, how it fails."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import httpx
import pytest

from watchdog.clock import SystemClock
from watchdog.embedded.recordings import RecordedCall
from watchdog.embedded.server import EmbeddedPlatform
from watchdog.embedded.simulated import Disturbance, Trouble

ADA = {"name": "Ada"}
RECORDING = tuple(
    RecordedCall(
        latency_ms=latency, cost_usd=0.01, input_tokens=7, output_tokens=3, model="gpt-4-0314", provider="openai"
    )
    for latency in (100.0, 200.0, 300.0)
)


def _live(running, **more):
    return running.execute(promptSlug="support", environment="production", variables=ADA, **more)


def test_the_environment_decides_which_version_answers(running):
    """
    production is the pointer; development and nothing at all are the latest version.
    """
    for environment in ("production", "development", None):
        body = {"promptId": running.prompt_id, "variables": ADA} | ({"environment": environment} if environment else {})
        running.execute(**body)

    items = running.logs()["items"]
    assert [running.first, running.second, running.second] == [item["versionId"] for item in items]
    assert ["production", "development", "development"] == [item["environment"] for item in items]


def test_the_next_call_after_a_promotion_hits_the_promoted_version(running):
    """
    No cache stands in between.
    """
    _live(running)
    running.promote(running.second)
    _live(running)

    assert [running.first, running.second] == [item["versionId"] for item in running.logs()["items"]]


def test_production_of_a_prompt_that_was_never_promoted_is_answered_404(running):
    """
    And so is any version of a prompt that was never saved.
    """
    prompt_id = running.platform.admin.create_prompt("fresh")
    assert "no version was ever saved" in running.execute(promptSlug="fresh").json()["message"]

    running.platform.admin.save_version(prompt_id)
    refused = running.execute(promptSlug="fresh", environment="production")
    assert (404, "prompt fresh: no version was ever promoted to production") == (
        refused.status_code,
        refused.json()["message"],
    )


def test_a_recording_is_replayed_in_order_and_begins_again(running):
    """
    The recorded latency, cost and tokens are what the caller is told.
    """
    running.platform.simulated.record(running.first, RECORDING)

    replies = [_live(running).json() for _ in range(4)]

    assert [100, 200, 300, 100] == [reply["latencyMs"] for reply in replies]
    expected = {"model": "gpt-4-0314", "inputTokens": 7, "outputTokens": 3, "totalTokens": 10, "cost": 0.01}
    assert expected == {name: replies[0][name] for name in expected}
    assert {"openai"} == {item["provider"] for item in running.logs()["items"]}


def test_versions_replay_independently(running):
    """
    Calls of one version do not move another's place.
    """
    running.platform.simulated.record(running.first, RECORDING)
    running.platform.simulated.record(running.second, RECORDING)
    _live(running)
    _live(running)

    assert 100 == running.execute(promptSlug="support", variables=ADA).json()["latencyMs"]


@pytest.mark.parametrize(("factor", "waited"), [(0.0, 0.0), (1.0, 0.1), (0.01, 0.001)])
def test_the_wait_is_the_recorded_latency_times_the_factor(running, factor, waited):
    """
    In seconds of the clock; the latency that is reported stays the recorded one.
    """
    running.platform.simulated.record(running.first, RECORDING)
    running.platform.simulated.wait_factor = factor

    assert 100 == _live(running).json()["latencyMs"]
    assert [pytest.approx(waited)] == running.clock.waits


FAILURES = [
    (503, 502, "PROVIDER_ERROR"),
    (500, 502, "PROVIDER_ERROR"),
    (504, 504, "PROVIDER_TIMEOUT"),
    (429, 429, "RATE_LIMITED"),
    (422, 422, "VALIDATION_FAILED"),
]


@pytest.mark.parametrize(("provider_status", "status", "code"), FAILURES)
def test_a_failing_provider_is_an_envelope_and_a_failed_execution(running, provider_status, status, code):
    """
    Logged as an error with the code, and told to the caller with the gateway's status.
    """
    running.platform.simulated.fail(status=provider_status)

    answer = _live(running)

    assert (status, code) == (answer.status_code, answer.json()["errorCode"])
    (item,) = running.logs()["items"]
    assert ("error", code) == (item["status"], item["errorCode"])
    assert ("1" if status == 429 else None) == answer.headers.get("retry-after")


def test_a_recorded_failure_is_replayed_with_its_cost(running):
    """
    A refused answer was paid for all the same.
    """
    refused = replace(RECORDING[0], ok=False, error_code="VALIDATION_FAILED")
    running.platform.simulated.record(running.first, [refused])

    assert 422 == _live(running).status_code
    (item,) = running.logs()["items"]
    assert (0.01, "VALIDATION_FAILED") == (item["cost"], item["errorCode"])


def test_a_call_longer_than_its_limit_times_out(running):
    """
    With the limit as its latency.
    """
    running.platform.simulated.record(running.first, RECORDING)

    answer = _live(running, timeoutMs=50)

    assert (504, "PROVIDER_TIMEOUT") == (answer.status_code, answer.json()["errorCode"])
    assert 50.0 == running.logs()["items"][0]["latencyMs"]


def test_a_missing_variable_is_refused_and_logged(running):
    """
    A version that asks for more than its callers send breaks production, and the log shows it.
    """
    answer = running.execute(promptSlug="support", environment="production")

    assert (422, "missing variables: name") == (answer.status_code, answer.json()["message"])
    (item,) = running.logs()["items"]
    assert ("error", "VALIDATION_FAILED", None) == (item["status"], item["errorCode"], item["latencyMs"])


def test_a_share_of_the_calls_fails_evenly(running):
    """
    Every fourth call of a share of 0.25.
    """
    running.platform.simulated.fail(share=0.25, version_id=running.first)

    assert [200, 200, 200, 502] * 2 == [_live(running).status_code for _ in range(8)]


def test_a_disturbance_of_the_next_calls_ends_by_itself(running):
    """
    Two calls fail, the third succeeds.
    """
    running.platform.simulated.fail(next_n=2)

    assert [502, 502, 200] == [_live(running).status_code for _ in range(3)]


def test_a_disturbance_concerns_only_its_version(running):
    """
    The other version goes on.
    """
    running.platform.simulated.fail(version_id=running.second)

    assert 200 == _live(running).status_code
    assert 502 == running.execute(promptSlug="support", variables=ADA).status_code


def test_a_slow_provider_reports_a_longer_latency(running):
    """
    Times the factor.
    """
    running.platform.simulated.record(running.first, RECORDING)
    running.platform.simulated.slow_down(3.0)

    assert 300 == _live(running).json()["latencyMs"]


def test_broken_json_is_a_success_whose_output_does_not_parse(running):
    """
    A stop sequence that cuts JSON in half looks like this.
    """
    json.loads(_live(running).json()["output"])
    running.platform.simulated.garble()

    answer = _live(running)

    assert 200 == answer.status_code
    with pytest.raises(json.JSONDecodeError):
        json.loads(answer.json()["output"])


@pytest.mark.parametrize("wrong", [{"share": 0.0}, {"share": 1.5}, {"factor": 0.0}, {"factor": float("nan")}])
def test_a_disturbance_that_cannot_be_is_refused(wrong):
    """
    At once, and not when the first call meets it.
    """
    with pytest.raises(ValueError, match="must be"):
        Disturbance(trouble=Trouble.FAIL, **wrong)


def test_an_ad_hoc_call_is_logged_without_a_prompt(running):
    """
    system and user in the request, no version.
    """
    assert 200 == running.execute(system="Be brief", user="Hello", model="gpt-4o").status_code

    (item,) = running.logs()["items"]
    assert (None, None, "gpt-4o") == (item["promptId"], item["versionId"], item["model"])


def test_a_value_that_looks_like_a_placeholder_stays_a_value(running):
    """
    Templates are filled in one pass.
    """
    called = running.execute(promptSlug="support", variables={"name": "{{secret}}", "secret": "42"}).json()

    assert "Hi {{secret}}" == running.get(f"/api/v1/execution-logs/{called['id']}").json()["request"]["user"]


@pytest.mark.parametrize(
    "metadata",
    [
        "task=refund",
        ["task"],
        {f"key{i}": i for i in range(17)},
        {"k" * 101: 1},
        {"task": "x" * 101},
        {"task": 10**100},
        {"task": "a\nb"},
        {"task\0": 1},
        {"task": None},
        {"task": ["refund"]},
        {"customer": {"tier": "gold"}},
    ],
)
def test_metadata_that_cannot_be_labels_are_refused(running, metadata):
    """
    With 422, and no call is made.
    """
    answer = _live(running, metadata=metadata)

    what = "metadata must be an object of at most 16 strings, numbers and booleans"
    told = [f"{what}, each and its key of at most 100 printable characters"]
    assert (422, told) == (answer.status_code, answer.json()["message"])
    assert [] == running.logs()["items"]


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999", r'"\ud800"'])
def test_metadata_that_could_be_read_but_never_shown_are_refused(running, value):
    """
    Python takes these out of a body and cannot write them back; one such row would spoil every page that holds it.
    """
    body = f'{{"promptSlug": "support", "variables": {{"name": "Ada"}}, "metadata": {{"share": {value}}}}}'

    assert 422 == running.client.post("/api/v1/gateway/execute", content=body).status_code
    assert [] == running.logs()["items"]


def test_the_largest_metadata_are_taken(running):
    """
    16 keys, keys and texts of 100 characters, and numbers of as many digits; the log still shows them.
    """
    largest = {f"{i:0100d}": "ü" * 100 for i in range(15)} | {"digits": 10**100 - 1}

    assert 200 == _live(running, metadata=largest).status_code
    assert [largest] == [item["metadata"] for item in running.logs()["items"]]


def test_a_stream_carries_metadata_too(running):
    """
    It is logged as `execute` logs it.
    """
    body = {"promptSlug": "support", "variables": ADA, "metadata": {"task": "refund"}}

    assert 200 == running.client.post("/api/v1/gateway/stream", json=body).status_code
    assert [{"task": "refund"}] == [item["metadata"] for item in running.logs()["items"]]


def _frames(answer):
    return [json.loads(line.removeprefix("data: ")) for line in answer.iter_lines() if line]


def test_a_stream_sends_the_output_in_pieces_and_then_the_usage(running):
    """
    The pieces add up to what `execute` would have answered.
    """
    body = {"promptSlug": "support", "variables": ADA}
    with running.client.stream("POST", "/api/v1/gateway/stream", json=body) as answer:
        frames = _frames(answer)

    assert "text/event-stream; charset=utf-8" == answer.headers["content-type"]
    assert ["chunk"] * 4 + ["done"] == [frame["type"] for frame in frames]
    assert json.loads("".join(frame["content"] for frame in frames[:-1]))["simulated"]
    assert {"type", "inputTokens", "outputTokens", "totalTokens", "cost", "model", "latencyMs"} == set(frames[-1])


def test_a_stream_that_fails_at_once_is_answered_with_a_status(running):
    """
    Nothing was sent yet, so that the envelope is still possible.
    """
    running.platform.simulated.fail(status=503)

    answer = running.client.post("/api/v1/gateway/stream", json={"promptSlug": "support", "variables": ADA})

    assert (502, "PROVIDER_ERROR") == (answer.status_code, answer.json()["errorCode"])


def test_a_stream_whose_answer_is_refused_ends_with_an_error_frame(running):
    """
    The pieces came before anybody knew.
    """
    running.platform.simulated.fail(status=422)
    body = {"promptSlug": "support", "variables": ADA}
    with running.client.stream("POST", "/api/v1/gateway/stream", json=body) as answer:
        last = _frames(answer)[-1]

    assert ("error", "VALIDATION_FAILED") == (last["type"], last["errorCode"])
    assert last["requestId"].startswith("req_")


def test_a_stream_that_its_caller_leaves_is_logged_as_cut_off(running, tmp_path):
    """
    Exactly one row, whose code says that the caller was gone.
    """
    with EmbeddedPlatform(tmp_path / "slow.db", SystemClock(), wait_factor=1.0) as platform:
        admin = platform.admin
        prompt_id = admin.create_prompt("slow")
        admin.save_version(prompt_id, recording=[RecordedCall(latency_ms=1200.0)])
        headers = {"authorization": f"Bearer {admin.create_token()}"}
        url = f"{platform.base_url}/api/v1/gateway/stream"
        with running.client.stream("POST", url, json={"promptSlug": "slow"}, headers=headers) as answer:
            next(answer.iter_lines())
        platform.stop()
        page = admin.executions.one("exe_000000000001")

    assert ("error", "CLIENT_CLOSED") == (page["status"], page["errorCode"])


def test_stopping_does_not_wait_for_recorded_minutes(tmp_path):
    """
    Whoever waits for a simulated answer gets it at once when the platform stops.
    """
    clock = SystemClock()
    with EmbeddedPlatform(tmp_path / "slow.db", clock, wait_factor=1.0) as platform:
        prompt_id = platform.admin.create_prompt("slow")
        platform.admin.save_version(prompt_id, recording=[RecordedCall(latency_ms=120_000.0)])
        token = platform.admin.create_token()
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(_call, platform.base_url, token)
            while not platform.faults.seen("*/execute"):
                pass
            begun_s = clock.monotonic()
            platform.stop()
            stopped_s = clock.monotonic()
            assert 200 == waiting.result()

    assert stopped_s - begun_s < 5.0


def _call(base_url, token):
    headers = {"authorization": f"Bearer {token}"}
    url = f"{base_url}/api/v1/gateway/execute"
    return httpx.post(url, json={"promptSlug": "slow"}, headers=headers, timeout=60, trust_env=False).status_code


def test_an_answer_does_not_wait_for_a_delayed_acknowledgement(running, system_clock):
    """
    Without TCP_NODELAY each answer on a kept connection takes 40 ms: the median of many is far below.
    """
    took_s = []
    for _ in range(21):
        begun_s = system_clock.monotonic()
        running.get("/api/v1/health")
        took_s.append(system_clock.monotonic() - begun_s)

    assert sorted(took_s)[10] < 0.035


def shown_of_last(running):
    (item,) = running.logs()["items"]
    return running.get(f"/api/v1/execution-logs/{item['id']}").json()


@pytest.mark.parametrize(
    ("code", "kept", "reason"), [("OUTPUT_UNPARSABLE", "stop", "stop"), ("OUTPUT_TRUNCATED", "half", "length")]
)
def test_an_output_that_fails_for_its_form_is_cut_as_its_code_says(running, code, kept, reason):
    """
    At the stop sequence that cut it, or at the token limit; with the parameters beside it.
    """
    version = running.platform.admin.save_version(
        running.prompt_id,
        user="Hi {{name}}",
        variables={"name": {}},
        stop_sequences=(', "question"',),
        max_tokens=7,
        recording=[RecordedCall(latency_ms=100.0, ok=False, error_code=code, output_tokens=50)],
    )
    running.platform.admin.promote(running.prompt_id, version)
    running.execute(promptSlug="support", variables={"name": "Ada"}, environment="production")

    shown = shown_of_last(running)
    output = shown["response"]["output"]
    whole = json.dumps({"simulated": True, "model": "gpt-4", "call": 0, "question": "Hi Ada"})
    assert (whole[: whole.index(', "question"')] if kept == "stop" else whole[: len(whole) // 2]) == output
    assert reason == shown["response"]["finishReason"]
    assert (7, [', "question"']) == (shown["request"]["max_tokens"], shown["request"]["stop_sequences"])
    assert (50 if kept == "stop" else 7) == shown["outputTokens"]
