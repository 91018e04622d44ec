"""Panels that were put together, kept so that a look does not learn the whole baseline anew."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from watchdog.core.panel import Panel
    from watchdog.core.watch import Watch

# A fleet of this many open watches is kept whole; beyond it the oldest are put together again when they are looked at.
_KEPT = 500


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A panel, and what it was put together for."""

    panel: Panel
    rules_digest: str
    alpha_left: float

    def is_of(self, watch: Watch) -> bool:
        """Whether it still is the panel of this watch: its baseline never changes, its rules may."""
        return (self.rules_digest, self.alpha_left) == (watch.rules_digest, watch.alpha_left)


@dataclass
class Panels:
    """By watch id, the latest last."""

    kept: dict[str, Kept] = field(default_factory=dict)

    def get(self, watch_id: str) -> Kept | None:
        return self.kept.get(watch_id)

    def keep(self, watch: Watch, panel: Panel) -> None:
        """Forgets the oldest when there are too many."""
        self.kept.pop(watch.id, None)
        self.kept[watch.id] = Kept(panel=panel, rules_digest=watch.rules_digest, alpha_left=watch.alpha_left)
        while len(self.kept) > _KEPT:
            self.kept.pop(next(iter(self.kept)), None)
