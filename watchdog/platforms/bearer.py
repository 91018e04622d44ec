"""The token on its way into a request's header, and nowhere else."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import httpx

from watchdog.errors import WatchdogError
from watchdog.platforms.answers import readable

if TYPE_CHECKING:
    from collections.abc import Callable, Generator


class Nobody(httpx.Auth):
    """In a `Bearer`'s place where there is no token: what is not here cannot be sent."""

    generation = 0

    def load(self) -> str | None:
        return None

    def renew(self, refused: int) -> bool:  # noqa: ARG002 - as of a bearer
        return False

    def hidden(self, text: str) -> str:
        return text


class Bearer(httpx.Auth):
    """
    The token, kept out of every frame that an error's traceback could show.

    Args:
        read_token: returns the token afresh, so that it can be rotated without a restart.
    """

    def __init__(self, read_token: Callable[[], str]) -> None:
        self._read_token = read_token
        self._lock = threading.Lock()
        self._token = ""
        self._generation = 0

    def load(self) -> str | None:
        """Read the token where that was not done yet. Returns what is wrong with it; None when nothing is."""
        with self._lock:
            return None if self._token else self._read()

    @property
    def generation(self) -> int:
        """Grows with every token that differs from the one before."""
        return self._generation

    def renew(self, refused: int) -> bool:
        """
        Read the token again, after a 401.

        Args:
            refused: generation of the token that was refused; another thread may have renewed it meanwhile.
        Returns: whether there is another token now.
        """
        with self._lock:
            if self._generation == refused:
                self._read()
            return self._generation != refused

    def hidden(self, text: str) -> str:
        """The text without the token: a server may well repeat it."""
        return text.replace(self._token, "[token]") if self._token else text

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """httpx calls this for each request."""
        request.headers["Authorization"] = f"Bearer {self._token}"
        yield request

    def _read(self) -> str | None:
        try:
            token = self._read_token().strip()
        except (OSError, ValueError, WatchdogError) as exc:
            return f"the token cannot be read: {readable(str(exc))}"
        # A header with a control character would be refused by a library that quotes it in its message.
        if not token or not token.isascii() or not token.isprintable() or " " in token:
            return "the token is empty, or holds a space, a control or a non-ASCII character"
        if token != self._token:
            self._token = token
            self._generation += 1
        return None
