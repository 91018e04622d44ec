"""
A dead man's switch such as those of healthchecks.io or Cronitor: an address that is fetched now and then, and that
raises the alarm when it was not.

Whoever knows the address can keep the alarm from being raised, so it is a secret: nothing here repeats more than its
host, and nothing of what the other side answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from watchdog.errors import ConfigError
from watchdog.platforms.addresses import url_problem
from watchdog.platforms.deadline import Deadline
from watchdog.platforms.http import JsonHttp
from watchdog.platforms.outcomes import Fault, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from watchdog.clock import Clock

# In seconds of the wall, connecting and reading included.
TIMEOUT_S = 10.0
_MAX_BODY_BYTES = 64 * 2**10


class HttpHeartbeat:
    """
    The switch; the methods are described in `protocol.DeadMansSwitch`. Called by one thread.

    Args:
        read_url: the address, read anew each time, so that it can be changed without a restart.
    """

    def __init__(
        self,
        read_url: Callable[[], str],
        *,
        clock: Clock,
        proxy_from_env: bool = False,
        ca_file: Path | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._read_url = read_url
        self._clock = clock
        self._proxy_from_env = proxy_from_env
        self._ca_file = ca_file
        self._timeout_s = timeout_s
        self._url = ""
        self._http: JsonHttp | None = None

    def press(self) -> str:
        try:
            url = self._read_url()
        except ConfigError as exc:
            return f"heartbeat.url: {exc}"
        if problem := url_problem(url):
            # Of all problems only those that name no part of the address.
            return f"heartbeat.url {problem}"
        try:
            http, path = self._open(url)
        except (OSError, ValueError) as exc:
            return f"the address cannot be asked: {type(exc).__name__}"
        outcome = http.ask(path, Deadline(self._clock, self._timeout_s))
        # It may answer with anything, such as `OK`, which is no JSON: that it did is enough.
        return "" if 200 <= outcome.status < 300 else f"{http.host} {_what_happened(outcome, self._timeout_s)}"

    def close(self) -> None:
        if self._http is not None:
            self._http.close()
            self._http = None

    def _open(self, url: str) -> tuple[JsonHttp, str]:
        """The connection and the path, of an address that may have changed."""
        parts = urlsplit(url)
        if self._http is None or url != self._url:
            self.close()
            self._http = JsonHttp(
                base_url=f"{parts.scheme}://{parts.netloc}",
                read_token=None,
                clock=self._clock,
                uniform=lambda: 0.0,  # nothing is repeated here
                timeout_s=self._timeout_s,
                proxy_from_env=self._proxy_from_env,
                ca_file=self._ca_file,
                max_body_bytes=_MAX_BODY_BYTES,
            )
            self._url = url
        return self._http, parts.path or "/"


def _what_happened(outcome: Outcome, timeout_s: float) -> str:
    """Without a word of what came back: answers and redirects like to repeat the address."""
    if outcome.status:
        return f"answered {outcome.status}"
    match outcome.fault:
        case Fault.NOT_SENT:
            return "could not be connected to"
        case Fault.LATE:
            return f"did not answer within {timeout_s:g} s"
        case _:
            return "lost the connection"
