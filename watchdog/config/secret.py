"""References to secrets. A configuration names where a secret is; it never holds one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from watchdog.config.disclosure import quoted
from watchdog.errors import ConfigError, ConfigIssue

if TYPE_CHECKING:
    from collections.abc import Mapping

ALLOWED = '"env:NAME" (an environment variable) or "file:PATH" (a file that holds nothing else)'
_MAX_BYTES = 1 << 16
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# What a reference looks like, for editors.
PATTERN = rf"env:{_NAME.pattern}|file:.+"


class SecretKind(Enum):
    ENV = "env"
    FILE = "file"


@dataclass(frozen=True, kw_only=True, repr=False)
class SecretRef:
    """
    Where a secret is to be read from, afresh each time, so that it can be rotated without a restart.

    Attributes:
        name: of the environment variable; or the path of the file, absolute once it went through `load_settings`.
    """

    kind: SecretKind
    name: str

    @classmethod
    def env(cls, name: str) -> SecretRef:
        """The environment variable of that name."""
        return cls(kind=SecretKind.ENV, name=name)

    @classmethod
    def file(cls, path: Path) -> SecretRef:
        """The content of that file, without blanks and line ends around it."""
        return cls(kind=SecretKind.FILE, name=str(path))

    @classmethod
    def parse(cls, text: str, *, folder: Path) -> SecretRef:
        """
        Args:
            text: `env:NAME` or `file:PATH`.
            folder: what a relative PATH is relative to.

        Raises: ValueError: says what is wrong, without repeating what may be the secret itself.
        """
        kind, colon, name = text.partition(":")
        if colon and kind == "env":
            if not _NAME.fullmatch(name):
                raise ValueError("what follows env: is not the name of an environment variable")
            return cls.env(name)
        if colon and kind == "file":
            if not name or not name.isprintable():
                raise ValueError("what follows file: is not a path")
            return cls.file(folder / name)
        if colon and kind == "cmd":
            raise ValueError("commands are not run to get at a secret")
        raise ValueError("holds the secret itself; the value is not shown here, and does not belong into this file")

    def read(self, env: Mapping[str, str]) -> str:
        """
        The secret, without blanks and line ends around it.

        Raises: ConfigError: it is not there, or empty, or cannot be a secret (line breaks or blanks inside).
        """
        try:
            return self.resolve(env)
        except ValueError as exc:
            issue = ConfigIssue(file=repr(self), line=0, column=0, key="", message=str(exc))
            raise ConfigError((issue,)) from None

    def resolve(self, env: Mapping[str, str]) -> str:
        """
        Like `read`.

        Raises: ValueError: the same problems, for the place in a configuration that is being read.
        """
        match self.kind:
            case SecretKind.ENV:
                where = f"the environment variable {quoted(self.name)}"
                if self.name not in env:
                    raise ValueError(f"{where} is not set")
                secret = env[self.name].strip()
            case SecretKind.FILE:
                where = f"the file {quoted(self.name)}"
                secret = _content(Path(self.name), where)
        if not secret:
            raise ValueError(f"{where} is empty")
        if not secret.isascii() or not secret.isprintable() or " " in secret:
            raise ValueError(f"{where} holds blanks, line breaks or letters that no token has; the value is not shown")
        return secret

    def __repr__(self) -> str:
        # The name is shown by design, except where somebody pasted the secret as the name.
        shown = quoted(self.name)
        return f"{self.kind.value}:{shown.strip('`')}"


def _content(path: Path, where: str) -> str:
    try:
        with path.open("rb") as stream:
            raw = stream.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        raise ValueError(f"{where} does not exist") from None
    except IsADirectoryError:
        raise ValueError(f"{where} is a folder") from None
    except PermissionError:
        raise ValueError(f"{where} may not be read by this user") from None
    except OSError as exc:
        raise ValueError(f"{where} cannot be read: {exc.strerror or 'unknown reason'}") from None
    if len(raw) > _MAX_BYTES:
        raise ValueError(f"{where} is larger than 64 KiB; that is not a token")
    try:
        return raw.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise ValueError(f"{where} is not UTF-8 text") from None
