"""Forwarding to an OpenAI-compatible server, here a small one of our own on loopback."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from watchdog.embedded.openai_compatible import OpenAIProvider, Price
from watchdog.embedded.server import EmbeddedPlatform

CHUNKS = [
    {"choices": [{"delta": {"role": "assistant"}}]},
    {"choices": [{"delta": {"content": "Hel"}}]},
    {"choices": [{"delta": {"content": "lo"}, "finish_reason": "length"}]},
    {
        "choices": [],
        "usage": {"prompt_tokens": 30, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 10}},
    },
]


class _Upstream(BaseHTTPRequestHandler):
    """Answers as its server's `behaviour` says, and keeps what it was sent."""

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked.append((self.path, self.headers["authorization"], asked))
        if self.server.behaviour != 200:
            body = b'{"error": {"message": "sk-secret is not valid"}}'
            self.send_response(self.server.behaviour)
            self.send_header("retry-after", "9")
        else:
            frames = [f"data: {json.dumps(chunk)}\n\n" for chunk in CHUNKS]
            body = "".join([*frames, "data: [DONE]\n\n"]).encode()
            self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args):
        """Silent."""


@pytest.fixture
def upstream():
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Upstream)
    server.behaviour, server.asked = 200, []
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def forwarding(tmp_path, clock, upstream, http):
    """A client of a platform whose provider is the upstream server."""
    base_url = f"http://127.0.0.1:{upstream.server_port}/v1"
    prices = {"gpt-4o": Price(input_usd=2.5, output_usd=10.0, cached_usd=1.25)}
    provider = OpenAIProvider(base_url, "sk-secret", clock, prices=prices)
    with EmbeddedPlatform(tmp_path / "embedded.db", clock, provider=provider, durable=False) as platform:
        http.base_url = platform.base_url
        http.headers["authorization"] = f"Bearer {platform.admin.create_token()}"
        yield http


def _execute(client, **body):
    return client.post("/api/v1/gateway/execute", json={"model": "gpt-4o", "system": "Be brief", "user": "Hi"} | body)


def test_a_call_is_forwarded_with_its_parameters(forwarding, upstream):
    """
    In OpenAI's names, to the base URL's chat completions, with the provider's key.
    """
    _execute(forwarding, temperature=0.5, maxTokens=7, topP=0.9, stopSequences=["END"])

    ((path, authorization, asked),) = upstream.asked
    assert ("/v1/chat/completions", "Bearer sk-secret") == (path, authorization)
    assert {
        "model": "gpt-4o",
        "messages": [{"role": "system", "content": "Be brief"}, {"role": "user", "content": "Hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0.5,
        "max_tokens": 7,
        "top_p": 0.9,
        "stop": ["END"],
    } == asked


def test_tokens_and_cost_come_from_the_usage(forwarding):
    """
    20 fresh input tokens, 10 cached ones and 2 of output, at their prices.
    """
    reply = _execute(forwarding).json()

    assert ("Hello", 30, 2) == (reply["output"], reply["inputTokens"], reply["outputTokens"])
    assert (20 * 2.5 + 10 * 1.25 + 2 * 10.0) / 1e6 == pytest.approx(reply["cost"])
    (item,) = forwarding.get("/api/v1/execution-logs").json()["items"]
    assert (10, "openai") == (item["cachedTokens"], item["provider"])
    shown = forwarding.get(f"/api/v1/execution-logs/{item['id']}").json()
    assert {"output": "Hello", "finishReason": "length"} == shown["response"]


def test_a_model_without_a_price_costs_unknown(forwarding):
    """
    Null in the log, not zero.
    """
    _execute(forwarding, model="local-model")

    (item,) = forwarding.get("/api/v1/execution-logs").json()["items"]
    assert item["cost"] is None


def test_a_stream_passes_the_pieces_on(forwarding):
    """
    As they come.
    """
    body = {"model": "gpt-4o", "user": "Hi"}
    with forwarding.stream("POST", "/api/v1/gateway/stream", json=body) as answer:
        frames = [json.loads(line.removeprefix("data: ")) for line in answer.iter_lines() if line]

    assert ["Hel", "lo"] == [frame["content"] for frame in frames if frame["type"] == "chunk"]
    assert 30 == frames[-1]["inputTokens"]


@pytest.mark.parametrize(
    ("behaviour", "status", "code"),
    [
        (500, 502, "PROVIDER_ERROR"),
        (401, 502, "PROVIDER_ERROR"),
        (429, 429, "RATE_LIMITED"),
        (504, 504, "PROVIDER_TIMEOUT"),
    ],
)
def test_a_refusal_upstream_is_told_without_its_text(forwarding, upstream, behaviour, status, code):
    """
    The provider's own message may repeat the key.
    """
    upstream.behaviour = behaviour

    answer = _execute(forwarding)

    assert (status, code) == (answer.status_code, answer.json()["errorCode"])
    assert ("9" if status == 429 else None) == answer.headers.get("retry-after")
    logged = forwarding.get("/api/v1/execution-logs").json()["items"][0]["id"]
    assert "sk-secret" not in answer.text + forwarding.get(f"/api/v1/execution-logs/{logged}").text


def test_a_server_that_cannot_be_reached_is_a_provider_error(forwarding, upstream):
    """
    Logged like any other failure.
    """
    upstream.shutdown()
    upstream.server_close()

    answer = _execute(forwarding)

    assert (502, "PROVIDER_ERROR") == (answer.status_code, answer.json()["errorCode"])
