"""Where the token may go."""

from __future__ import annotations

import pytest

from watchdog.platforms.addresses import fill, forbidden_peer, template_problem, url_problem


@pytest.mark.parametrize(
    "url",
    ["https://api.prompthelm.app", "https://h:8443/base/", "http://127.0.0.1:9", "http://[::1]:9", "http://localhost"],
)
def test_an_address_that_keeps_the_token_private_is_allowed(url: str) -> None:
    """Encrypted, or without leaving this machine."""
    assert None is url_problem(url)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://api.prompthelm.app", "plain http"),
        ("http://127.0.0.1.example.com", "plain http"),
        ("ftp://api.prompthelm.app", "must start with https"),
        ("api.prompthelm.app", "must start with https"),
        ("", "must start with https"),
        ("https://user@api.prompthelm.app", "user name or password"),
        ("https://api.prompthelm.app?x=1", "must end before"),
        ("https://api.prompthelm.app/#", "must end before"),
        ("https://[::1", "is not a URL"),
        ("https://169.254.169.254", "link-local or metadata address"),
        ("https://[64:ff9b::a9fe:a9fe]/base", "link-local or metadata address"),
        ("https://[fe80::1]:443", "link-local or metadata address"),
        ("https://api.prompthelm.app:port", "is not a URL"),
    ],
)
def test_an_address_that_would_not_is_refused(url: str, problem: str) -> None:
    """With the reason in the user's words."""
    assert problem in (url_problem(url) or "")


@pytest.mark.parametrize(
    ("address", "forbidden"),
    [
        ("169.254.169.254", True),
        ("::ffff:169.254.169.254", True),
        ("fe80::1%eth0", True),
        ("fd00:ec2::254", True),
        ("100.100.100.200", True),
        ("192.0.0.192", True),
        ("168.63.129.16", True),
        ("2002:a9fe:a9fe::1", True),
        ("64:ff9b::a9fe:a9fe", True),
        ("64:ff9b::a00:7", False),
        ("127.0.0.1", False),
        ("10.0.0.7", False),
        ("2001:db8::1", False),
    ],
)
def test_a_metadata_service_is_no_platform(address: str, forbidden: bool) -> None:
    """Private networks are: registries are often hosted in one."""
    assert forbidden is forbidden_peer(address)


def test_an_id_cannot_leave_its_place() -> None:
    """Slashes, questions and percent signs are quoted, so no id reaches another call."""
    assert fill("/p/{prompt_id}/x", {"prompt_id": "a/../b?c#d%e é"}) == "/p/a%2F..%2Fb%3Fc%23d%25e%20%C3%A9/x"


@pytest.mark.parametrize("value", ["", ".", "..", "a\nb", "\0"])
def test_an_id_that_no_quoting_protects_is_refused(value: str) -> None:
    """Servers and clients fold dots before they look at a path."""
    with pytest.raises(ValueError, match="cannot stand for"):
        fill("/p/{prompt_id}", {"prompt_id": value})


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("/p/{prompt_id}", None),
        ("/p?id={prompt_id}&again={prompt_id}", None),
        ("p/{prompt_id}", "must start with one slash"),
        ("//evil.example/{prompt_id}", "must start with one slash"),
        ("/p", "must hold {prompt_id}; it holds none"),
        ("/p/{prompt}", "must hold {prompt_id}; it holds {prompt}"),
        ("/p/{prompt_id}/{prompt_id", "brace"),
        ("/p {prompt_id}", "space"),
    ],
)
def test_a_template_is_checked(template: str, problem: str | None) -> None:
    """Before the first request, not when a revert needs it."""
    found = template_problem(template, frozenset({"prompt_id"}))

    assert (found is None) if problem is None else (problem in (found or ""))
