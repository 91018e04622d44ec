"""The Compare page over HTTP, open without a token to programs and browsers on the same machine."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from watchdog.embedded.compare import compare
from watchdog.embedded.endpoint import Ask, answer
from watchdog.embedded.envelope import Problem, invalid

if TYPE_CHECKING:
    from watchdog.embedded.endpoint import Door
    from watchdog.embedded.registry import Registry

# The page is all there is: nothing is loaded, nothing runs, nobody frames it.
_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


@dataclass(frozen=True, kw_only=True)
class Pages:
    """Pages over one registry."""

    registry: Registry

    def routes(self, door: Door) -> list[Route]:
        return [Route("/prompts/{prompt_id}/compare", door.open(self._compare, scope=None), methods=["GET"])]

    def _compare(self, ask: Ask) -> Response:
        _refuse_strangers(ask)
        wrong = [f"{name} must be the id of a version" for name in ("from", "to") if not ask.query.get(name)]
        if wrong:
            raise invalid(wrong)
        prompt_id = ask.path["prompt_id"]
        comparison = compare(
            self.registry.prompt(prompt_id),
            self.registry.version(prompt_id, ask.query["from"]),
            self.registry.version(prompt_id, ask.query["to"]),
        )
        wants_json = ask.query.get("format") == "json" or "application/json" in ask.headers.get("accept", "")
        if wants_json:
            return answer(comparison.as_json())
        return HTMLResponse(comparison.as_html(), headers=_HEADERS)


def _refuse_strangers(ask: Ask) -> None:
    """
    Only the same machine, and only under one of its own names: a web page elsewhere could otherwise have its own host
    name resolve to 127.0.0.1 and read prompts through the user's browser (DNS rebinding).
    """
    host = ask.headers.get("host", "").rsplit(":", 1)[0].strip("[]")
    if not (_is_loopback(ask.actor.ip) and (host == "localhost" or _is_loopback(host))):
        raise Problem(403, "LOOPBACK_ONLY", "this page is served only to the same machine, as localhost or 127.0.0.1")


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False
