"""Which addresses the token may be sent to, and by which way."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING
from urllib.parse import quote
from urllib.request import getproxies, proxy_bypass

import httpcore
import httpx

if TYPE_CHECKING:
    from collections.abc import Mapping

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
# Instance metadata services that are not link-local: AWS over IPv6, Alibaba Cloud, Oracle Cloud, Azure's wire server.
_METADATA = frozenset(
    ipaddress.ip_address(address) for address in ("fd00:ec2::254", "100.100.100.200", "192.0.0.192", "168.63.129.16")
)
# IPv6 addresses that a translator turns into the IPv4 address in their last 32 bits (RFC 6052).
_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")


def url_problem(url: str) -> str | None:
    """Why this cannot be the address of a platform; None when it can. Never repeats a password in it."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        return "is not a URL; write it like https://api.prompthelm.app"
    if parsed.userinfo:
        return "holds a user name or password; the token goes into its own setting"
    if parsed.scheme not in ("http", "https") or not parsed.host:
        return "must start with https:// and name a host"
    if _is_forbidden_literal(parsed.host):
        return "names a link-local or metadata address, which is never asked"
    if "?" in url or "#" in url:
        return "must end before any ? or #"
    if parsed.scheme == "http" and not is_loopback(parsed.host):
        return "must start with https://; plain http would show the token to the network (allowed on loopback only)"
    return None


def is_loopback(host: str) -> bool:
    """Whether the host is this machine by its very name or address."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def forbidden_peer(address: str) -> bool:
    """Whether the IP address is link-local or a cloud's metadata service, where a forged URL would lead."""
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.ip_address(address)
    return any(one.is_link_local or one in _METADATA for one in (ip, *_within(ip)))


def _within(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> tuple[ipaddress.IPv4Address, ...]:
    """IPv4 addresses that an IPv6 address stands for: mapped, 6to4, translated."""
    if isinstance(ip, ipaddress.IPv4Address):
        return ()
    translated = ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF) if ip in _TRANSLATED else None
    return tuple(one for one in (ip.ipv4_mapped, ip.sixtofour, translated) if one is not None)


def _is_forbidden_literal(host: str) -> bool:
    """Through a proxy nobody sees which address is reached in the end; one that is written out is refused here."""
    try:
        return forbidden_peer(host)
    except ValueError:
        return False


def without_userinfo(address: str) -> str:
    """The address of a stranger with whatever stands before the host taken out, however odd it is."""
    before, slashes, rest = address.partition("//")
    authority, slash, path = rest.partition("/")
    return f"{before}{slashes}{authority.rpartition('@')[2]}{slash}{path}"


def proxy_for(url: httpx.URL) -> httpcore.Proxy | None:
    """
    The proxy that the environment (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY) names for this address, if any.

    Raises: ValueError: it is not an http or https proxy.
    """
    proxies = getproxies()
    address = proxies.get(url.scheme) or proxies.get("all")
    if not address or proxy_bypass(url.host):
        return None
    proxy = httpx.URL(address if "://" in address else f"http://{address}")
    if proxy.scheme not in ("http", "https"):
        raise ValueError(f"the environment names a proxy of the kind {proxy.scheme!r}; only http and https are known")
    return httpcore.Proxy(
        url=httpcore.URL(scheme=proxy.raw_scheme, host=proxy.raw_host, port=proxy.port, target=b"/"),
        auth=(proxy.username, proxy.password) if proxy.username else None,
    )


def template_problem(template: str, placeholders: frozenset[str]) -> str | None:
    """Why this cannot be a path with these placeholders; None when it can. All of them must be there."""
    if not template.startswith("/") or template.startswith("//"):
        return "must start with one slash"
    if any(not c.isascii() or not c.isprintable() or c == " " for c in template):
        return "holds a space, a control or a non-ASCII character"
    found = _PLACEHOLDER.findall(template)
    if "{" in _PLACEHOLDER.sub("", template) or "}" in _PLACEHOLDER.sub("", template):
        return "holds a brace without its partner"
    if set(found) != placeholders:
        wanted = ", ".join(f"{{{name}}}" for name in sorted(placeholders)) or "no placeholder"
        return f"must hold {wanted}; it holds {', '.join(f'{{{name}}}' for name in found) or 'none'}"
    return None


def fill(template: str, ids: Mapping[str, str]) -> str:
    """
    The template with each `{name}` replaced by its id, quoted so that no id can reach beyond its place.

    Raises: ValueError: an id is empty or would be read as `.` or `..`, which no quoting protects.
    """
    for name, value in ids.items():
        if not value.strip(".") or not value.isprintable():
            raise ValueError(f"{value!r} cannot stand for {{{name}}} in an address")
    return _PLACEHOLDER.sub(lambda match: quote(ids[match.group(1)], safe=""), template)
