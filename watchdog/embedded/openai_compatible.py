"""
A provider that forwards to any server with OpenAI's chat completions (`POST {base_url}/chat/completions`).

Source: OpenAI's API reference, "Create chat completion"; streams end with `data: [DONE]`, and with
`stream_options.include_usage` the last chunk carries the tokens.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import httpx

from watchdog.embedded import provider
from watchdog.embedded.provider import Answer, Request
from watchdog.embedded.recordings import RecordedCall

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from threading import Event

    from watchdog.clock import Clock

_TIMEOUT_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Price:
    """US dollars for a million tokens; cached input tokens cost `cached_usd`, the others `input_usd`."""

    input_usd: float
    output_usd: float
    cached_usd: float


class OpenAIProvider:
    """Forwards calls; what a model is not priced for costs "unknown", not nothing."""

    def __init__(
        self,
        base_url: str,
        api_key: str,
        clock: Clock,
        *,
        prices: Mapping[str, Price] | None = None,
        proxy_from_env: bool = False,
    ) -> None:
        """
        Args:
            base_url: such as `https://api.openai.com/v1`.
            prices: by model.
        """
        self._clock = clock
        self._prices = dict(prices or {})
        self._client = httpx.Client(
            base_url=base_url,
            headers={"authorization": f"Bearer {api_key}"},
            timeout=_TIMEOUT_S,
            trust_env=proxy_from_env,
            limits=httpx.Limits(max_connections=200, max_keepalive_connections=20),
        )

    @property
    def name(self) -> str:
        return "openai"

    def healthy(self) -> bool:
        # Asking would cost a call; the execution log shows what became of the real ones.
        return True

    def complete(self, request: Request, stop: Event) -> Answer:
        *_, answer = self.stream(request, stop)
        return cast(Answer, answer)  # a stream ends with its answer

    def stream(self, request: Request, stop: Event) -> Iterator[str | Answer]:
        begun_s = self._clock.monotonic()
        output: list[str] = []
        usage: dict[str, Any] = {}
        code, message, finish_reason, retry_after_s = "", "", "", None
        timeout_s = _TIMEOUT_S if request.timeout_ms is None else request.timeout_ms / 1000.0
        try:
            with self._client.stream("POST", "chat/completions", json=_body(request), timeout=timeout_s) as response:
                if response.is_error:
                    code, message, retry_after_s = _refusal(response)
                else:
                    for chunk in _chunks(response):
                        usage = chunk.get("usage") or usage
                        finish_reason = _finish_reason(chunk) or finish_reason
                        piece = _text(chunk)
                        if piece:
                            output.append(piece)
                            yield piece
                        if stop.is_set() or self._clock.monotonic() - begun_s > timeout_s * self._clock.speed:
                            # httpx limits each read; a server that drips would never end.
                            code, message = provider.TIMEOUT, f"no whole answer within {timeout_s:g} s"
                            break
        except httpx.TimeoutException:
            code, message = provider.TIMEOUT, f"no answer within {timeout_s:g} s"
        except (httpx.HTTPError, json.JSONDecodeError) as exc:
            code, message = provider.PROVIDER_ERROR, f"{type(exc).__name__} from {self._client.base_url}"
        call = RecordedCall(
            latency_ms=(self._clock.monotonic() - begun_s) * 1000.0,
            ok=not code,
            error_code=code,
            model=request.model,
            provider=self.name,
        )
        yield Answer(
            output="".join(output),
            call=self._priced(call, usage),
            message=message,
            finish_reason=finish_reason,
            retry_after_s=retry_after_s,
        )

    def close(self) -> None:
        self._client.close()

    def _priced(self, call: RecordedCall, usage: Mapping[str, Any]) -> RecordedCall:
        if not usage:
            return call
        cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
        inputs, outputs = usage["prompt_tokens"], usage["completion_tokens"]
        price = self._prices.get(call.model)
        cost_usd = None
        if price is not None:
            dollars = (inputs - cached) * price.input_usd + cached * price.cached_usd + outputs * price.output_usd
            cost_usd = dollars / 1_000_000
        return replace(call, cost_usd=cost_usd, input_tokens=inputs, output_tokens=outputs, cached_tokens=cached)


def _body(request: Request) -> dict[str, Any]:
    messages = [{"role": role, "content": text} for role, text in (("system", request.system), ("user", request.user))]
    body: dict[str, Any] = {
        "model": request.model,
        "messages": [message for message in messages if message["content"]],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    optional = {
        "temperature": request.temperature,
        "max_tokens": request.max_tokens,
        "top_p": request.top_p,
        "stop": list(request.stop_sequences) or None,
    }
    return body | {name: value for name, value in optional.items() if value is not None}


def _refusal(response: httpx.Response) -> tuple[str, str, int | None]:
    """Error code, message and the wait asked for; the provider's own text may repeat the key and is not passed on."""
    message = f"the provider answered {response.status_code}"
    if response.status_code == 429:
        wait = response.headers.get("retry-after", "")
        return provider.RATE_LIMITED, message, int(wait) if wait.isascii() and wait.isdigit() else None
    code = provider.TIMEOUT if response.status_code in (408, 504) else provider.PROVIDER_ERROR
    return code, message, None


def _chunks(response: httpx.Response) -> Iterator[dict[str, Any]]:
    for line in response.iter_lines():
        payload = line.removeprefix("data:").strip()
        if not line.startswith("data:") or payload == "[DONE]":
            continue
        chunk = json.loads(payload)
        if isinstance(chunk, dict):
            yield chunk


def _text(chunk: Mapping[str, Any]) -> str:
    choices = chunk.get("choices") or []
    return ((choices[0].get("delta") or {}).get("content") or "") if choices else ""


def _finish_reason(chunk: Mapping[str, Any]) -> str:
    choices = chunk.get("choices") or []
    reason = choices[0].get("finish_reason") if choices else None
    return reason if isinstance(reason, str) else ""
