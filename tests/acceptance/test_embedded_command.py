"""`promptwatch embedded`: the platform alone."""

from __future__ import annotations

import re
import signal
import socket

import prompt_helm
import pytest

from tests.acceptance.shell import Started, promptwatch

pytestmark = pytest.mark.acceptance


def test_the_official_sdk_works_with_what_it_prints(tmp_path):
    """The address and the token, as they stand there; a signal ends it."""
    with Started("embedded", "--port", "0", folder=tmp_path) as platform:
        address = re.search(r"http://\S+", platform.says("PromptHelm-compatible platform on"))
        token = re.search(r"phk_\w+", platform.says("A new token"))
        assert address is not None
        assert token is not None
        platform.says("Ctrl-C")
        with prompt_helm.PromptHelm(api_key=token[0], base_url=address[0]) as client:
            reply = client.execute(prompt_slug="is-prime", variables={"number": "17077"}, environment="production")
        platform.signal(signal.SIGINT)
        ended = platform.ended(within_s=5.0)

    assert "gpt-4-0314" == reply.model
    assert 0 == ended.status
    assert (tmp_path / "embedded.db").exists()


def test_a_port_in_use_is_an_error_that_names_it(tmp_path):
    """With what to do."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        ended = promptwatch("embedded", "--port", str(port), folder=tmp_path)

    assert 3 == ended.status
    assert f"127.0.0.1:{port} is taken; stop the program that listens there" in ended.err


def test_a_file_of_something_else_is_an_error_that_names_it(tmp_path):
    """And stays as it is."""
    (tmp_path / "notes.txt").write_text("dear diary\n" * 100)

    ended = promptwatch("embedded", "--port", "0", "--db", "notes.txt", folder=tmp_path)

    assert 3 == ended.status
    assert "notes.txt: file is not a database" in ended.err
