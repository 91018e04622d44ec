"""The token goes over TLS to a server that proves its name, or it does not go."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.platforms.hostile_server import HostileServer
from watchdog.errors import NotSent

if TYPE_CHECKING:
    from collections.abc import Callable

    from watchdog.platforms.prompthelm import PromptHelm

# Made for these tests: an authority of their own, and certificates by it. Their keys protect nothing.
FOLDER = Path(__file__).parent / "tls"
CA = FOLDER / "ca.pem"


def served(certificate: str) -> HostileServer:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(FOLDER / f"{certificate}.pem", FOLDER / f"{certificate}.key")
    return HostileServer(context)


def test_a_server_of_the_authority_that_is_named_is_trusted(connect: Callable[..., PromptHelm]) -> None:
    """That is what `platform.ca_file` is for; nothing switches the check off."""
    server = served("here")
    try:
        assert () == tuple(connect(url=server.url, ca_file=CA).prompts())
        assert 1 == len(server.seen)
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("certificate", "ca_file"),
    [("here", None), ("elsewhere", CA), ("expired", CA)],
    ids=["of an authority that nobody knows", "of another name", "expired"],
)
def test_a_server_that_does_not_prove_its_name_gets_no_request(
    connect: Callable[..., PromptHelm], certificate: str, ca_file: Path | None
) -> None:
    """Neither a read nor a promotion, so not the token either; and it is known that nothing was sent."""
    server = served(certificate)
    client = connect(url=server.url, ca_file=ca_file)
    try:
        with pytest.raises(NotSent, match="certificate"):
            client.prompts()
        with pytest.raises(NotSent, match="certificate"):
            client.promote("p1", "v1", note="watchdog:1", revert_of="a1")
        assert [] == server.seen
    finally:
        server.stop()
