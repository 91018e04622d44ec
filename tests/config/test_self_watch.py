"""[server] and [heartbeat]: who may ask how the watchdog is, and who is told that it lives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.config.workbench import PLATFORM
from watchdog.config.check import check
from watchdog.config.report_text import lines
from watchdog.config.urls import listen_address

if TYPE_CHECKING:
    from tests.config.workbench import Bench

CANARY = "hc-5f1d6a4c1b7e-canary"


@pytest.mark.parametrize(
    ("listen", "expected"),
    [
        ("127.0.0.1:9464", ("127.0.0.1", 9464)),
        ("127.0.0.2:1", ("127.0.0.2", 1)),
        ("[::1]:65535", ("::1", 65535)),
    ],
)
def test_an_address_of_this_machine_needs_nothing_else(bench: Bench, listen: str, expected: tuple[str, int]) -> None:
    """IPv4 and IPv6."""
    settings = bench.load(f'{PLATFORM}[server]\nlisten = "{listen}"\n')

    assert expected == listen_address(settings.server.listen)


def test_it_can_be_switched_off(bench: Bench) -> None:
    """Then nothing is said of it either."""
    settings = bench.load(f'{PLATFORM}[server]\nlisten = ""\n')

    assert "" == settings.server.listen
    assert not any("metrics" in line for line in lines(check(settings, bench.env)))


@pytest.mark.parametrize("listen", ["0.0.0.0:9464", "[::]:9464", "10.0.0.5:9464"])
def test_other_machines_are_let_in_on_purpose_only(bench: Bench, listen: str) -> None:
    """An address alone is no purpose: it may have been copied from somewhere."""
    text = f'{PLATFORM}[server]\nlisten = "{listen}"\n'
    issue = bench.issue(text)

    assert ("server.listen", 5) == (issue.key, issue.line)
    assert "can be reached by other machines; put `remote = true` beside it" in issue.message
    assert bench.load(f"{text}remote = true\n").server.remote
    assert any(
        "anybody who reaches that address" in line
        for line in lines(check(bench.load(f"{text}remote = true\n"), bench.env))
    )


@pytest.mark.parametrize(
    "listen",
    ["9464", ":9464", "localhost:9464", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:65536", "::1:9464", "[127.0.0.1]:1"],
)
def test_what_is_no_address_is_refused_with_an_example(bench: Bench, listen: str) -> None:
    """A name may lead anywhere, and port 0 is another one with each start."""
    issue = bench.issue(f'{PLATFORM}[server]\nlisten = "{listen}"\n')

    assert "server.listen" == issue.key
    assert 'must be an IP address and a port, such as "127.0.0.1:9464"' in issue.message


def test_the_heartbeats_address_is_a_secret(bench: Bench) -> None:
    """Whoever knows it can keep the alarm from being raised: it is neither written down nor shown."""
    bench.env["HEARTBEAT"] = f"https://hc.example/{CANARY}"
    settings = bench.load(f'{PLATFORM}[heartbeat]\nurl = "env:HEARTBEAT"\n')
    report = "\n".join(lines(check(settings, bench.env)))

    assert "heartbeat.url = env:HEARTBEAT" in report
    assert CANARY not in report
    for text in (f'url = "https://hc.example/{CANARY}"', f'ulr = "https://hc.example/{CANARY}"'):
        assert CANARY not in "\n".join(str(issue) for issue in bench.issues(f"{PLATFORM}[heartbeat]\n{text}\n"))
    bench.env["HEARTBEAT"] = f"http://hc.example/{CANARY}"
    assert CANARY not in str(bench.issue(f'{PLATFORM}[heartbeat]\nurl = "env:HEARTBEAT"\n'))
