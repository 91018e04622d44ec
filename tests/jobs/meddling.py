"""Somebody else who comes just while ours is asking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass
class Meddling:
    """
    A platform or a database; once, while it is asked, something else happens first.

    Attributes:
        at: name of the call; after: how many of these calls pass before.
    """

    inner: Any
    at: str
    happens: Callable[[], object]
    after: int = 0

    def __getattr__(self, name: str) -> Any:
        if name == self.at:
            self.after -= 1
            if self.after == -1:
                self.happens()
        return getattr(self.inner, name)
