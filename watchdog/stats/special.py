"""
`scipy.special`, loaded when its first function is asked for: most commands compute nothing, and it is a fifth of their
start.
"""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    """Each function by its name there (PEP 562); asked for once, it stays."""
    if name.startswith("__"):
        raise AttributeError(name)
    from scipy import special

    found = globals()[name] = getattr(special, name)
    return found
