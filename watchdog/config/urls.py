"""Addresses: of the platform, of Slack, of the database."""

from __future__ import annotations

import ipaddress
import re
from stat import S_ISDIR
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from watchdog.config.disclosure import quoted, shown
from watchdog.config.kinds import Kind, Surroundings, matching, mode_of, text_of
from watchdog.config.secret import ALLOWED as SECRET_ALLOWED
from watchdog.config.secret import PATTERN as SECRET_PATTERN
from watchdog.config.secret import SecretRef

if TYPE_CHECKING:
    from pathlib import Path
    from urllib.parse import SplitResult

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|[0-9a-fA-F:]+")
_SQLITE = "sqlite:///"
_LISTEN_EXAMPLE = "127.0.0.1:9464"
_IN_THE_OPEN = "which would send the token unencrypted"
_POSTGRES = ("postgresql", "postgresql+psycopg")
STORE_ALLOWED = (
    '"sqlite:///promptwatch.db" (relative to the folder of this file), "sqlite:////absolute/path.db", '
    '"postgresql://host/name", or "env:NAME" or "file:PATH" that holds such an address'
)


def origin(example: str) -> Kind:
    """An http(s) address without a path; the setting has no slash at its end."""
    return _web(f'an address without a path, such as "{example}"; https unless it is this machine', path=False)


def base_address(example: str) -> Kind:
    """An http(s) address that may have a path; the setting has no slash at its end."""
    return _web(f'an address such as "{example}"; https unless it is this machine', path=True)


def status_page(example: str) -> Kind:
    """Like `base_address`, for a page that is asked without a token."""
    allowed = f'the address of a status page, such as "{example}"; https unless it is this machine'
    return _web(allowed, path=True, risk="which anybody on the way could answer in its place")


def check_web_address(address: str, *, risk: str = _IN_THE_OPEN) -> SplitResult:
    """
    Args:
        risk: what is wrong with plain http, as the end of the message.

    Raises: ValueError: not https (http on this machine), or holds more than a host, a port and a path.
    """
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError(f"got {shown(address)}, whose host or port cannot be read") from None
    if parts.scheme not in ("http", "https") or not host:
        raise ValueError(f"got {shown(address)}")
    if parts.username is not None or parts.password is not None:
        raise ValueError("holds a user name or password (not shown)")
    if not _HOST.fullmatch(host) or " " in address:
        raise ValueError(f"got {shown(address)}, whose host cannot be read")
    if parts.query or parts.fragment:
        raise ValueError(f"got {shown(address)}, with something behind ? or #")
    if _is_no_server(host):
        # Cloud machines serve their own credentials on link-local addresses.
        raise ValueError(f"got {shown(address)}, which is the address of no server")
    if parts.scheme == "http" and not is_loopback(host):
        raise ValueError(f"got {shown(address)}, {risk}")
    return parts


def is_loopback(host: str) -> bool:
    """Whether the host is this machine, by its name or address alone."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def store_address(address: str, folder: Path) -> str:
    """
    The address with an absolute path where it is a SQLite file.

    Raises: ValueError: neither SQLite nor PostgreSQL, or a folder that does not exist.
    """
    if address.startswith(_SQLITE):
        return _sqlite_address(address, folder)
    if address.startswith("sqlite:"):
        raise ValueError(
            "a SQLite address needs three slashes and a path, and a database in memory forgets its incidents"
        )
    try:
        parts = urlsplit(address)
        _ = parts.port  # read to be checked
    except ValueError:
        raise ValueError("its host or port cannot be read") from None
    if parts.scheme == "postgres":
        raise ValueError("`postgres:` is not a known kind of database; did you mean `postgresql:`?")
    if parts.scheme not in _POSTGRES:
        raise ValueError("it is neither SQLite nor PostgreSQL")
    if not parts.path.strip("/"):
        raise ValueError("the name of the database is missing behind the host")
    return address


def store() -> Kind:
    """Where the store is: an address without a password, or a `SecretRef` to one."""

    def parse(value: object, surroundings: Surroundings) -> str | SecretRef:
        content = text_of(value)
        if content.startswith(("env:", "file:", "cmd:")):
            ref = SecretRef.parse(content, folder=surroundings.folder)
            store_address(ref.resolve(surroundings.env), surroundings.folder)
            return ref
        if _has_password(content):
            raise ValueError("holds a password (not shown)")
        return store_address(content, surroundings.folder)

    schema = matching(rf"{_SQLITE}.+|postgresql(\+psycopg)?://.+|{SECRET_PATTERN}")
    return Kind(allowed=STORE_ALLOWED, parse=parse, secret=True, schema=schema)


def secret(*, web_address: bool = False) -> Kind:
    """
    The reference to a secret that can be read now.

    Args:
        web_address: the secret is an https address.
    """

    def parse(value: object, surroundings: Surroundings) -> SecretRef:
        ref = SecretRef.parse(text_of(value), folder=surroundings.folder)
        content = ref.resolve(surroundings.env)
        if web_address:
            try:
                check_web_address(content)
            except ValueError:
                raise ValueError(f"what {ref!r} holds is not an https address; it is not shown") from None
        return ref

    return Kind(allowed=SECRET_ALLOWED, parse=parse, secret=True, schema=matching(SECRET_PATTERN))


def listening() -> Kind:
    """An IP address and a port to listen on, or nothing."""
    allowed = (
        f'an IP address and a port, such as "{_LISTEN_EXAMPLE}" or "[::1]:9464", or "" for none; an address that other '
        "machines reach needs `remote = true` beside it"
    )

    def parse(value: object, _: Surroundings) -> str:
        content = text_of(value)
        if content:
            listen_address(content)
        return content

    return Kind(allowed=allowed, parse=parse, schema=matching(r"|[0-9.]+:[0-9]{1,5}|\[[0-9A-Fa-f:.]+\]:[0-9]{1,5}"))


def listen_address(content: str) -> tuple[str, int]:
    """
    Host and port.

    Raises: ValueError: not an IP address and a port.
    """
    host, colon, port = content.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65_536:
        raise ValueError(f"got {shown(content)}")
    bare = host.removeprefix("[").removesuffix("]")
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        raise ValueError(f"got {shown(content)}") from None
    if (address.version == 6) != (host == f"[{bare}]"):
        raise ValueError(f"got {shown(content)}")
    return bare, int(port)


def _web(allowed: str, *, path: bool, risk: str = _IN_THE_OPEN) -> Kind:
    def parse(value: object, _: Surroundings) -> str:
        address = text_of(value)
        parts = check_web_address(address, risk=risk)
        if not path and parts.path not in ("", "/"):
            raise ValueError(f"got {shown(address)}; leave out {shown(parts.path)}, paths are set in [platform.paths]")
        return address.rstrip("/")

    return Kind(allowed=allowed, parse=parse, schema=matching(r"https?://[^ ?#]+"))


def _sqlite_address(address: str, folder: Path) -> str:
    name = address.removeprefix(_SQLITE)
    if not name or name == ":memory:":
        raise ValueError("a database in memory forgets its incidents when the daemon stops")
    if "?" in name or "#" in name:
        raise ValueError("options behind ? are not taken; the daemon sets its own")
    path = folder / name
    if S_ISDIR(mode_of(path)):
        raise ValueError(f"{quoted(str(path))} is a folder; name the file in it")
    if not S_ISDIR(mode_of(path.parent)):
        raise ValueError(f"the folder {quoted(str(path.parent))} does not exist; create it first")
    return f"{_SQLITE}{path}"


def _has_password(address: str) -> bool:
    try:
        parts = urlsplit(address)
    except ValueError:
        return "@" in address
    options = {name.lower() for name, _ in parse_qsl(parts.query)}
    return parts.password is not None or "password" in options


def _is_no_server(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_link_local or address.is_unspecified or address.is_multicast
