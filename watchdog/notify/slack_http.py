"""
slack_sdk's two clients, kept where they were sent.

They use urllib, which follows a redirect to any host and takes the headers along, the token among them; and they read
an answer to its end, however long it is. Here a redirect is an answer like any other, and an answer has a limit.
"""

from __future__ import annotations

import io
import urllib.request
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, HTTPSHandler, ProxyHandler, Request

from slack_sdk.errors import SlackRequestError
from slack_sdk.web import WebClient
from slack_sdk.webhook import WebhookClient, WebhookResponse

if TYPE_CHECKING:
    from email.message import Message
    from http.client import HTTPResponse
    from typing import IO

# A page of two hundred messages has some hundreds of kilobytes.
MAX_BODY_BYTES = 4 * 1024 * 1024


class _Stay(HTTPRedirectHandler):
    def redirect_request(
        self,
        req: Request,  # noqa: ARG002
        fp: IO[bytes],  # noqa: ARG002
        code: int,  # noqa: ARG002
        msg: str,  # noqa: ARG002
        headers: Message,  # noqa: ARG002
        newurl: str,  # noqa: ARG002
    ) -> None:
        """None: it is not followed, and urllib raises it as the answer that it is."""
        return


class StayingWebClient(WebClient):
    """The Web API's client."""

    def _perform_urllib_http_request_internal(self, url: str, req: Request) -> dict[str, Any]:  # noqa: ARG002
        answer, body = _exchanged(req, self.proxy, self.ssl, self.timeout)
        return {"status": answer.status, "headers": answer.headers, "body": body}


class StayingWebhookClient(WebhookClient):
    """The incoming webhook's client."""

    def _perform_http_request_internal(self, url: str, req: Request) -> WebhookResponse:
        answer, body = _exchanged(req, self.proxy, self.ssl, self.timeout)
        return WebhookResponse(url=url, status_code=answer.status, body=body, headers=dict(answer.headers))


def _exchanged(req: Request, proxy: str | None, ssl: Any, timeout: int) -> tuple[HTTPResponse, str]:
    """Raises: HTTPError, URLError, SlackRequestError: not an HTTP address, or an answer longer than the limit."""
    if not req.full_url.lower().startswith("http"):
        raise SlackRequestError("Invalid URL detected")
    handlers: list[Any] = [_Stay(), HTTPSHandler(context=ssl)]
    if proxy is not None:
        handlers.append(ProxyHandler({"http": proxy, "https": proxy}))
    try:
        answer = urllib.request.build_opener(*handlers).open(req, timeout=timeout)
    except HTTPError as exc:
        with exc:
            said = io.BytesIO(exc.read(MAX_BODY_BYTES))
        raise HTTPError(exc.url, exc.code, exc.msg, exc.hdrs, said) from None
    with answer:
        body = answer.read(MAX_BODY_BYTES + 1)
    if len(body) > MAX_BODY_BYTES:
        raise SlackRequestError(f"the answer is longer than {MAX_BODY_BYTES // 1024 // 1024} MiB")
    return answer, body.decode(answer.headers.get_content_charset() or "utf-8")
