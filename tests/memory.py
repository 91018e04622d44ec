"""Where a file is memory: thousands of small databases are made there, and none needs to outlive a power cut."""

from __future__ import annotations

import shutil
from pathlib import Path

_SHARED = Path("/dev/shm")  # noqa: S108 - whoever uses it makes a folder of its own
_ENOUGH = 1 << 30


def _room() -> Path | None:
    try:
        return _SHARED if shutil.disk_usage(_SHARED).free >= _ENOUGH else None
    except OSError:
        return None


# None where the machine has none that is large enough; then files are made where they usually are.
MEMORY = _room()
