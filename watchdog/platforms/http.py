"""
JSON over HTTP with a deadline, a size limit and exact errors.

No error holds the token, not even in its context: errors are raised outside of the handlers that caught what caused
them, because httpx's exceptions carry the request and the request carries the header.
"""

from __future__ import annotations

import json
import math
import threading
from dataclasses import replace
from datetime import timedelta
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import httpx

from watchdog.platforms.addresses import proxy_for, without_userinfo
from watchdog.platforms.answers import BrokenBody, http_time, inflated, readable, retry_after_s, what_it_said
from watchdog.platforms.bearer import Bearer, Nobody
from watchdog.platforms.deadline import Deadline, DeadlineTransport
from watchdog.platforms.outcomes import Fault, Outcome, change_error, read_error

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from pathlib import Path

    from watchdog.clock import Clock

MAX_BODY_BYTES = 32 * 2**20
CONNECT_TIMEOUT_S = 3.0
READ_ATTEMPTS = 3
FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 2.0
# No platform needs longer than this to forgive; a wrong number must not blind the watchdog for a day.
LONGEST_QUIET_S = 600.0
# What a refusal says is read for the message only.
_MAX_REFUSAL_BYTES = 64 * 2**10
_HALF_A_SECOND = timedelta(seconds=0.5)
# A date that is further off says nothing of a clock, and what is reckoned with it would leave the calendar.
_LONGEST_SKEW = timedelta(days=36_525)

# The request cannot have left: there was no connection to send it on.
_NEVER_LEFT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
    httpx.ProxyError,
)


class JsonHttp:
    """
    One server, called by several threads at once.

    Args:
        base_url: checked with `url_problem` by the caller.
        read_token: None for a server that needs none, and gets none.
        timeout_s: > 0; deadline of one operation with all its attempts, in seconds of the wall.
        uniform: independent draws from [0, 1), to spread repeats.
        proxy_from_env: obey HTTPS_PROXY and its like.
        ca_file: PEM file with authorities to trust beside the usual ones.
    Raises: OSError: `ca_file` cannot be used. ValueError: the environment names a proxy of an unknown kind.
    """

    def __init__(
        self,
        *,
        base_url: str,
        read_token: Callable[[], str] | None,
        clock: Clock,
        uniform: Callable[[], float],
        timeout_s: float = 10.0,
        proxy_from_env: bool = False,
        ca_file: Path | None = None,
        max_body_bytes: int = MAX_BODY_BYTES,
    ) -> None:
        url = httpx.URL(base_url)
        self.host = url.netloc.decode("ascii")
        self._base = base_url.rstrip("/")
        self._bearer = Nobody() if read_token is None else Bearer(read_token)
        self._clock = clock
        self._uniform = uniform
        self._timeout_s = timeout_s
        self._max_body_bytes = max_body_bytes
        self._skew: timedelta | None = None
        self._quiet_until = -math.inf
        self._closed = threading.Event()
        tls = _tls(ca_file) if url.scheme == "https" else None
        proxy = proxy_for(url) if proxy_from_env else None
        # Changes get a connection of their own: on a kept one, "closed before the answer" would be no news.
        self._reads = _client(DeadlineTransport(ssl_context=tls, proxy=proxy, keep_alive=True))
        self._changes = _client(DeadlineTransport(ssl_context=tls, proxy=proxy, keep_alive=False))

    def read(self, path: str, query: Mapping[str, str], *, scope: str, max_body_bytes: int | None = None) -> object:
        """
        GET, repeated a few times within the deadline where that is cheap.

        Args:
            path: starts with a slash; ids in it are quoted.
            scope: what the call needs, for the message of a refusal.
            max_body_bytes: a longer answer is not read; None for the limit of this server.
        Returns: the parsed JSON; None for an empty body.
        Raises: NotSent, Refused, BadAnswer.
        """
        call = f"GET {path}"
        deadline = Deadline(self._clock, self._timeout_s)
        url = f"{path}{'&' if '?' in path else '?'}{urlencode(query)}" if query else path
        for attempt in range(1, READ_ATTEMPTS + 1):
            outcome = self._read_authorised(url, deadline, max_body_bytes or self._max_body_bytes)
            if outcome.fault is None:
                return outcome.value
            pause_s = self._pause_s(outcome, attempt, deadline)
            if pause_s is None or self._clock.wait(self._closed, pause_s * self._clock.speed):
                break
            self._quiet_until = -math.inf  # the pause was as long as was asked for
        raise read_error(outcome, call, scope)

    def ask(self, path: str, deadline: Deadline) -> Outcome:
        """GET, once, within the caller's own deadline: what became of it, for those who put it in words themselves."""
        return self._read_authorised(path, deadline, self._max_body_bytes)

    def change(self, path: str, body: Mapping[str, object], *, scope: str) -> object:
        """
        POST, exactly once.

        Returns: the parsed JSON; None for an empty body.
        Raises: NotSent, Refused: nothing was changed. OutcomeUnknown: it may or may not have been.
        """
        deadline = Deadline(self._clock, self._timeout_s)
        outcome = self._exchange(self._changes, "POST", path, body, deadline, self._max_body_bytes)
        if outcome.fault is None:
            return outcome.value
        renewed = outcome.status == 401 and self._bearer.renew(outcome.token_generation)
        raise change_error(outcome, f"POST {path}", scope, renewed=renewed)

    def clock_skew(self) -> timedelta | None:
        """The server's clock minus ours, known to about half a second; None before the first answer that told."""
        return self._skew

    def close(self) -> None:
        """Give back connections, and end every pause."""
        self._closed.set()
        self._reads.close()
        self._changes.close()

    def _pause_s(self, outcome: Outcome, attempt: int, deadline: Deadline) -> float | None:
        """How long to wait before the next attempt, in wall seconds; None when there is to be none."""
        cheap = outcome.fault in (Fault.NOT_SENT, Fault.LOST) or outcome.status == 429
        if not cheap or attempt == READ_ATTEMPTS:
            return None
        # Full jitter: after an outage nobody comes back in step.
        pause_s = self._uniform() * min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** (attempt - 1))
        if outcome.retry_after_s is not None:
            if outcome.retry_after_s > LONGEST_PAUSE_S:
                return None
            pause_s += outcome.retry_after_s
        elif outcome.status == 429:
            return None
        return pause_s if pause_s < deadline.left_s() else None

    def _read_authorised(self, url: str, deadline: Deadline, max_body_bytes: int) -> Outcome:
        outcome = self._exchange(self._reads, "GET", url, None, deadline, max_body_bytes)
        if outcome.status == 401 and self._bearer.renew(outcome.token_generation):
            return self._exchange(self._reads, "GET", url, None, deadline, max_body_bytes)
        return outcome

    def _exchange(
        self,
        client: httpx.Client,
        method: str,
        url: str,
        body: Mapping[str, object] | None,
        deadline: Deadline,
        max_body_bytes: int,
    ) -> Outcome:
        if self._closed.is_set():
            return Outcome(fault=Fault.NOT_SENT, message="this client has been closed")
        problem = self._bearer.load()
        if problem is not None:
            return Outcome(fault=Fault.NOT_SENT, message=problem)
        if (quiet_s := (self._quiet_until - self._clock.monotonic()) / self._clock.speed) > 0.0:
            said = f"429 earlier; the platform asked for another {quiet_s:.0f} s of quiet, so nothing was sent"
            return Outcome(fault=Fault.REFUSED, message=said, status=429, retry_after_s=quiet_s)
        generation = self._bearer.generation
        left_s = max(0.001, deadline.left_s())
        asked_at = self._clock.now()
        try:
            request = client.build_request(
                method,
                self._base + url,
                json=body,
                timeout=httpx.Timeout(left_s, connect=min(CONNECT_TIMEOUT_S, left_s)),
                extensions={"deadline": deadline},
            )
            response = client.send(request, auth=self._bearer, stream=True)
        except httpx.InvalidURL as exc:
            return Outcome(fault=Fault.NOT_SENT, message=f"this is not an address: {readable(str(exc))}")
        except httpx.TransportError as exc:
            return self._no_answer(exc, deadline)
        try:
            self._note_skew(response, asked_at)
            return replace(self._judge(response, deadline, max_body_bytes), token_generation=generation)
        finally:
            response.close()

    def _no_answer(self, exc: httpx.TransportError, deadline: Deadline) -> Outcome:
        if isinstance(exc, httpx.LocalProtocolError):
            # Its text may quote a header.
            return Outcome(fault=Fault.LOST, message="the request broke the rules of HTTP on our side")
        said = self._bearer.hidden(str(exc))
        if isinstance(exc, httpx.ConnectTimeout | httpx.PoolTimeout):
            return Outcome(fault=Fault.NOT_SENT, message="no connection within the time limit")
        if isinstance(exc, _NEVER_LEFT):
            return Outcome(fault=Fault.NOT_SENT, message=f"no connection: {readable(said)}")
        if isinstance(exc, httpx.TimeoutException):
            return Outcome(fault=Fault.LATE, message=f"no complete answer within {deadline.timeout_s:g} s")
        return Outcome(fault=Fault.LOST, message=f"the connection was lost: {readable(said) or 'no reason given'}")

    def _judge(self, response: httpx.Response, deadline: Deadline, max_body_bytes: int) -> Outcome:
        status = response.status_code
        if not 200 <= status < 300:
            return self._refusal(response)
        try:
            text = inflated(response, max_body_bytes)
            value = json.loads(text, parse_constant=float) if text.strip() else None
        except BrokenBody as exc:
            return Outcome(fault=Fault.LOST if exc.half else Fault.BROKEN, message=exc.reason, status=status)
        except httpx.TransportError as exc:
            lost = self._no_answer(exc, deadline)
            return Outcome(fault=lost.fault, message=f"{status}, then {lost.message}", status=status)
        except (ValueError, RecursionError):
            html = text.lstrip()[:1] == b"<"
            found = "HTML: a proxy, a login page or the dashboard answered in its place" if html else "something else"
            return Outcome(
                fault=Fault.BROKEN, message=f"{status} with JSON expected, but it was {found}", status=status
            )
        return Outcome(fault=None, value=value, status=status)

    def _refusal(self, response: httpx.Response) -> Outcome:
        status = response.status_code
        try:
            said = what_it_said(inflated(response, _MAX_REFUSAL_BYTES), self._bearer.hidden)
        except (BrokenBody, httpx.TransportError):
            said = ""
        message = f"{status} {said}".rstrip()
        if status < 400:
            target = without_userinfo(self._bearer.hidden(response.headers.get("location", "")).partition("?")[0])
            return Outcome(fault=Fault.BROKEN, message=f"{status}, a redirect to {readable(target)!r}", status=status)
        wait_s = retry_after_s(response.headers.get("retry-after"), self._clock.now())
        if status == 429 and wait_s is not None:
            # Every call shares the limit: the others wait as well, and do not make it longer.
            quiet_s = min(wait_s, LONGEST_QUIET_S)
            self._quiet_until = self._clock.monotonic() + quiet_s * self._clock.speed
        return Outcome(
            fault=Fault.REFUSED if status < 500 else Fault.LOST, message=message, status=status, retry_after_s=wait_s
        )

    def _note_skew(self, response: httpx.Response, asked_at: datetime) -> None:
        said = http_time(response.headers.get("date"))
        if said is not None:
            ours = asked_at + (self._clock.now() - asked_at) / 2
            skew = said - ours + _HALF_A_SECOND
            if abs(skew) <= _LONGEST_SKEW:
                self._skew = skew


def _tls(ca_file: Path | None) -> ssl.SSLContext:
    context = httpx.create_ssl_context(trust_env=False)
    if ca_file is not None:
        context.load_verify_locations(cafile=ca_file)
    return context


def _client(transport: DeadlineTransport) -> httpx.Client:
    return httpx.Client(
        transport=transport,
        trust_env=False,
        follow_redirects=False,
        headers={"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "prompt-watchdog"},
        # A cookie would be a state between two calls that nobody sees.
        cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
    )
