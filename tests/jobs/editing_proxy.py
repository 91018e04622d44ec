"""A proxy on port 0 that hands every request on to the platform, and edits the rows of its listings on the way back."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

Row = dict[str, Any]
Edit = Callable[[Row], object]


class EditingProxy:
    """Serves from a thread of its own between `start` and `stop`."""

    def __init__(self, platform_url: str) -> None:
        """
        Args:
            platform_url: `http://host:port`.
        """
        self._edits: dict[str, Edit] = {}
        self._platform = urlsplit(platform_url).netloc
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    def start(self) -> str:
        """Returns: the base URL."""
        self._thread.start()
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def edit(self, path: str, edit: Edit | None) -> None:
        """
        Args:
            path: the end of a listing's path.
            edit: what each row becomes; None leaves the rows of this path alone again.
        """
        if edit is None:
            self._edits.pop(path, None)
        else:
            self._edits[path] = edit

    def _answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes, str | None]:
        connection = http.client.HTTPConnection(self._platform, timeout=10)
        try:
            connection.request(method, target, body or None, headers)
            response = connection.getresponse()
            said = response.read()
        finally:
            connection.close()
        edit = next((e for path, e in self._edits.items() if urlsplit(target).path.endswith(path)), None)
        if edit is not None and response.status == 200:
            listing = json.loads(said)
            listing["items"] = [edit(row) for row in listing["items"]]
            # Python's json writes NaN as `NaN`, which is just what a careless server does.
            said = json.dumps(listing).encode()
        return response.status, said, response.headers["date"]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        answer = self._answer

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                length = int(self.headers.get("content-length", "0"))
                headers = {k: v for k, v in self.headers.items() if k.lower() in ("authorization", "content-type")}
                status, said, date = answer(self.command, self.path, headers, self.rfile.read(length))
                self.send_response_only(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(said)))
                if date is not None:
                    self.send_header("date", date)
                self.end_headers()
                self.wfile.write(said)

            do_POST = do_GET  # noqa: N815 - the name is http.server's

            def log_message(self, *_: object) -> None:
                """Not to stderr."""

        return Handler
