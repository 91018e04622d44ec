"""PromptHelm's official SDK, unmodified, against the embedded platform."""

from __future__ import annotations

import asyncio

import prompt_helm
import pytest

from watchdog.embedded.faults import Answering, Fault
from watchdog.embedded.recordings import RecordedCall

ADA = {"name": "Ada"}


@pytest.fixture
def sdk(running):
    """The SDK with a token as PromptHelm issues it today."""
    token = running.platform.admin.create_token(["gateway:execute"])
    client = prompt_helm.PromptHelm(api_key=token, base_url=running.platform.base_url)
    yield client
    client.close()


def _execute(sdk):
    return sdk.execute(prompt_slug="support", variables=ADA, environment="production")


def test_execute_returns_every_field(running, sdk):
    """
    As the SDK types them.
    """
    call = RecordedCall(latency_ms=321.0, cost_usd=0.25, input_tokens=11, output_tokens=4, model="gpt-4-0314")
    running.platform.simulated.record(running.first, [call])

    reply = _execute(sdk)

    assert (
        prompt_helm.ExecuteResponse(
            id="exe_000000000001",
            output=reply.output,
            model="gpt-4-0314",
            input_tokens=11,
            output_tokens=4,
            total_tokens=15,
            latency_ms=321,
            cost=0.25,
            timestamp="2026-11-20T12:00:00.000Z",
        )
        == reply
    )


def test_every_override_is_accepted(running, sdk):
    """
    And reaches the provider.
    """
    reply = sdk.execute(
        prompt_id=running.prompt_id,
        variables=ADA,
        model="gpt-4o",
        temperature=1.5,
        max_tokens=9,
        top_p=0.5,
        stop_sequences=["END"],
        timeout_ms=5000,
    )

    sent = running.get(f"/api/v1/execution-logs/{reply.id}").json()["request"]
    expected = {"model": "gpt-4o", "temperature": 1.5, "max_tokens": 9, "top_p": 0.5, "stop_sequences": ["END"]}
    assert expected == {name: sent[name] for name in expected}


def test_stream_yields_chunks_and_done(sdk):
    """
    The SDK parses every frame.
    """
    events = list(sdk.stream(prompt_slug="support", variables=ADA, environment="production"))

    assert ["chunk"] * 4 + ["done"] == [event.type for event in events]


def test_the_asynchronous_client_works_as_well(running, sdk):
    """
    execute and stream.
    """

    async def both():
        token = running.platform.admin.create_token(["gateway:execute"])
        async with prompt_helm.AsyncPromptHelm(api_key=token, base_url=running.platform.base_url) as client:
            reply = await client.execute(prompt_slug="support", variables=ADA)
            return reply, [event async for event in client.stream(prompt_slug="support", variables=ADA)]

    reply, events = asyncio.run(both())

    assert 400 == reply.latency_ms
    assert "done" == events[-1].type


def test_an_unknown_token_raises_authentication_error(running):
    """
    401, with the request id of the envelope.
    """
    with (
        prompt_helm.PromptHelm(api_key="phk_" + "0" * 32, base_url=running.platform.base_url) as client,
        pytest.raises(prompt_helm.AuthenticationError) as caught,
    ):
        _execute(client)

    assert "UNAUTHORIZED" == caught.value.error_code
    assert caught.value.request_id.startswith("req_")


def test_a_token_without_the_scope_raises_authorization_error(running):
    """
    403, naming the scope.
    """
    token = running.platform.admin.create_token(["audit:read"])
    with (
        prompt_helm.PromptHelm(api_key=token, base_url=running.platform.base_url) as client,
        pytest.raises(prompt_helm.AuthorizationError, match="gateway:execute"),
    ):
        _execute(client)


def test_an_unknown_prompt_raises_not_found_error(sdk):
    """
    404.
    """
    with pytest.raises(prompt_helm.NotFoundError, match="no prompt nothing"):
        sdk.execute(prompt_slug="nothing")


def test_a_rate_limited_provider_raises_rate_limit_error_without_a_retry(running, sdk):
    """
    429 is never retried by the SDK: one execution.
    """
    running.platform.simulated.fail(status=429)

    with pytest.raises(prompt_helm.RateLimitError):
        _execute(sdk)

    assert 1 == len(running.platform.faults.seen("*/gateway/execute"))


def test_a_refused_answer_raises_api_error_without_a_retry(running, sdk):
    """
    422 is never retried either.
    """
    running.platform.simulated.fail(status=422)

    with pytest.raises(prompt_helm.ApiError) as caught:
        _execute(sdk)

    assert (422, "VALIDATION_FAILED") == (caught.value.status_code, caught.value.error_code)
    assert 1 == len(running.platform.faults.seen("*/gateway/execute"))


def test_a_server_error_is_retried_until_it_succeeds(running, sdk):
    """
    One 502 and then the answer; both attempts are in the log.
    """
    running.platform.simulated.fail(status=503, next_n=1)

    assert _execute(sdk).output

    assert ["error", "success"] == [item["status"] for item in running.logs()["items"]]


def test_a_dropped_connection_is_retried(running, sdk):
    """
    The SDK repeats network errors, although the call may have been made: here it was.
    """
    running.platform.admin.inject_fault(Fault(answering=Answering.DROP, path="*/execute", apply=True))

    assert _execute(sdk).output

    assert 2 == len(running.logs()["items"])


def test_a_stream_that_ends_in_an_error_raises_api_error(running, sdk):
    """
    The SDK turns the error frame into its exception.
    """
    running.platform.simulated.fail(status=422)

    with pytest.raises(prompt_helm.ApiError) as caught:
        list(sdk.stream(prompt_slug="support", variables=ADA))

    assert "VALIDATION_FAILED" == caught.value.error_code


def test_after_a_promotion_the_very_next_call_resolves_to_the_restored_version(running, sdk):
    """
    Bad version live, one promote, next call: the issue's own proof.
    """
    running.promote(running.second)
    bad = _execute(sdk).id

    running.promote(running.first, reason="watchdog: rolled back")
    good = _execute(sdk).id

    assert running.second == running.get(f"/api/v1/execution-logs/{bad}").json()["versionId"]
    assert running.first == running.get(f"/api/v1/execution-logs/{good}").json()["versionId"]
