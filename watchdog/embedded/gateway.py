"""The gateway: resolve the version, call the provider, write the execution down whatever became of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from watchdog.embedded import provider
from watchdog.embedded.envelope import Problem
from watchdog.embedded.executions import Execution
from watchdog.embedded.gateway_request import GatewayRequest, fill, missing_variables
from watchdog.embedded.provider import Answer, Request, gateway_status
from watchdog.embedded.recordings import RecordedCall
from watchdog.embedded.registry import DEVELOPMENT
from watchdog.embedded.timestamps import wire

if TYPE_CHECKING:
    from collections.abc import Iterator
    from threading import Event

    from watchdog.embedded.executions import Executions
    from watchdog.embedded.provider import Provider
    from watchdog.embedded.registry import Registry


@dataclass(frozen=True, kw_only=True)
class Gateway:
    """
    Attributes:
        stop: set when the server stops; whoever waits for a simulated answer goes on at once.
    """

    registry: Registry
    executions: Executions
    provider: Provider
    stop: Event

    def execute(self, asked: GatewayRequest) -> dict[str, Any]:
        """
        Returns: the reply of `POST /api/v1/gateway/execute`.
        Raises: Problem: unknown prompt, missing variables, or the provider failed.
        """
        request = self._resolve(asked)
        answer = self.provider.complete(request, self.stop)
        execution_id, written_ms = self._write(asked, request, answer)
        if not answer.call.ok:
            raise _problem(answer)
        return {
            "id": execution_id,
            "output": answer.output,
            **_usage(answer.call),
            "timestamp": wire(written_ms),
        }

    def stream(self, asked: GatewayRequest, request_id: str) -> Iterator[dict[str, Any]]:
        """
        Yields: the frames of `POST /api/v1/gateway/stream`; closing it early writes the call down as cut off.
        Raises: Problem: before the first frame, as `execute` does.
        """
        request = self._resolve(asked)
        heard: list[str] = []
        try:
            for item in self.provider.stream(request, self.stop):
                if isinstance(item, str):
                    heard.append(item)
                    yield {"type": "chunk", "content": item}
                    continue
                self._write(asked, request, item)
                if item.call.ok:
                    yield {"type": "done", **_usage(item.call)}
                elif not heard:
                    raise _problem(item)
                else:
                    yield {
                        "type": "error",
                        "errorCode": item.call.error_code,
                        "message": item.message,
                        "requestId": request_id,
                    }
        except GeneratorExit:
            self._write(asked, request, _cut_off(request, heard, self.provider.name))
            raise

    def _resolve(self, asked: GatewayRequest) -> Request:
        if asked.ad_hoc:
            return fill(asked, None)
        version = self.registry.resolve(
            prompt_id=asked.prompt_id, slug=asked.prompt_slug, environment=asked.environment
        )
        request = fill(asked, version)
        missing = missing_variables(asked, version)
        if missing:
            # Logged like a failed call: a version that asks for more than its callers give breaks production.
            message = f"missing variables: {', '.join(missing)}"
            call = RecordedCall(
                latency_ms=None, ok=False, error_code=provider.VALIDATION, model=request.model, provider=""
            )
            answer = Answer(output="", call=call, message=message)
            self._write(asked, request, answer)
            raise _problem(answer)
        return request

    def _write(self, asked: GatewayRequest, request: Request, answer: Answer) -> tuple[str, int]:
        response: dict[str, Any] = {"output": answer.output}
        if answer.finish_reason:
            response["finishReason"] = answer.finish_reason
        if not answer.call.ok:
            response |= {"errorCode": answer.call.error_code, "message": answer.message}
        return self.executions.write(
            Execution(
                prompt_id=request.prompt_id,
                version_id=request.version_id,
                environment=asked.environment or DEVELOPMENT,
                call=answer.call,
                request={**asdict(request), "variables": dict(asked.variables)},
                response=response,
                metadata=asked.metadata,
            )
        )


def _problem(answer: Answer) -> Problem:
    code = answer.call.error_code
    return Problem(gateway_status(code), code, answer.message, retry_after_s=answer.retry_after_s)


def _cut_off(request: Request, heard: list[str], provider_name: str) -> Answer:
    call = RecordedCall(
        latency_ms=None, ok=False, error_code=provider.CLIENT_CLOSED, model=request.model, provider=provider_name
    )
    return Answer(output="".join(heard), call=call, message="the caller closed the stream")


def _usage(call: RecordedCall) -> dict[str, Any]:
    """The wire wants numbers here, so that what is not known is shown as 0; the execution log says null."""
    inputs, outputs = call.input_tokens or 0, call.output_tokens or 0
    return {
        "model": call.model,
        "inputTokens": inputs,
        "outputTokens": outputs,
        "totalTokens": inputs + outputs,
        "latencyMs": round(call.latency_ms or 0.0),
        "cost": call.cost_usd or 0.0,
    }
