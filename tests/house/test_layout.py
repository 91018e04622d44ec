"""The house: who may import whom, and a package that can live beside another one of the same import name."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "watchdog"
MODULES = sorted(PACKAGE.rglob("*.py"))

# PyPI has another distribution that imports as `watchdog`. These are its top-level names: ours must have none of them.
TAKEN = {"__main__", "events", "observers", "tricks", "utils", "version", "watchmedo"}

# room -> the rooms that it may import from, beside itself, `errors` and, where it says so, `clock`.
MAY_IMPORT = {
    "stats": set(),
    "core": {"stats"},
    "config": {"core", "stats"},
    "store": {"core"},
    "platforms": {"core", "clock"},
    "notify": {"core", "clock"},
    "embedded": {"clock"},
    "jobs": {"core", "stats", "store", "platforms.protocol", "notify.protocol", "clock", "installed"},
    "replay": {"stats", "core", "config"},
    "backtest": {"core", "stats", "config", "platforms.protocol"},
    "server": {"core", "store", "installed"},
    "daemon": {"core", "jobs", "server", "store"},
    "clock": set(),
    "errors": set(),
    "installed": set(),
}
PURE = ("stats", "core")
IMPURE_MODULES = {"time", "os", "random", "logging", "socket", "pathlib", "io", "secrets", "threading", "subprocess"}


def imports(path: Path) -> set[str]:
    """Dotted names of everything that the file imports, in functions too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_room_imports_only_from_the_rooms_below_it(path: Path) -> None:
    """`cli` composes and may import everything; all others keep to the table."""
    room = room_of(path)
    if room in ("cli", "__init__"):
        return
    allowed = {f"watchdog.{name}" for name in MAY_IMPORT[room] | {room, "errors"}}
    ours = {name for name in imports(path) if name.startswith("watchdog")}
    strangers = {
        name
        for name in ours
        if name != "watchdog"
        and not any(name == a or name.startswith(f"{a}.") for a in allowed)
        and not _parent(name, allowed)
    }

    assert set() == strangers


def _parent(name: str, allowed: set[str]) -> bool:
    """`from watchdog.platforms import protocol` names its parent as well."""
    return any(a.startswith(f"{name}.") for a in allowed)


@pytest.mark.parametrize("path", [p for p in MODULES if room_of(p) in PURE], ids=lambda p: str(p.relative_to(PACKAGE)))
def test_pure_rooms_touch_nothing_outside(path: Path) -> None:
    """No clock, environment, random source, file, socket or log in `stats` and `core`; `now` is an argument."""
    assert set() == {name.split(".")[0] for name in imports(path)} & IMPURE_MODULES
    assert not re.search(r"\b(?:datetime\.now|open|print|input)\(", path.read_text())


@pytest.mark.parametrize("path", [p for p in MODULES if room_of(p) == "stats"], ids=lambda p: p.name)
def test_the_mathematics_needs_numpy_and_scipy_only(path: Path) -> None:
    """Nothing of the project but its errors."""
    known = {
        "__future__",
        "numpy",
        "scipy",
        "watchdog",
        "math",
        "struct",
        "dataclasses",
        "enum",
        "functools",
        "abc",
        "typing",
        "collections",
    }

    assert set() == {name.split(".")[0] for name in imports(path)} - known


def test_the_package_can_live_beside_another_of_the_same_name() -> None:
    """`watchdog/__init__.py` is a docstring, and no module directly below it has a name of the other's."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text())

    assert 1 == len(tree.body)
    assert ast.get_docstring(tree)
    assert set() == TAKEN & {p.stem for p in PACKAGE.iterdir()}


def test_only_the_package_and_its_rules_are_installed() -> None:
    """Neither `rules` nor `tests` becomes a top-level package; the packs travel inside."""
    text = (ROOT / "pyproject.toml").read_text()

    assert 'packages = ["watchdog"]' in text
    assert '"rules" = "watchdog/_builtin_rules"' in text


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_only_one_module_reads_the_clock(path: Path) -> None:
    """Everything else is handed `now`, or a clock. The sentinel compares two clocks, which is its whole job."""
    if path.name in ("clock.py", "schedule.py"):
        return

    assert not re.search(r"datetime\.(?:now|utcnow|today)\(|\btime\.time\(", path.read_text())


def test_no_lock_file_names_a_registry() -> None:
    """They install from whatever registry the machine is set up with."""
    for name in ("requirements.lock", "requirements-dev.lock"):
        assert not re.search(r"https?://|--index-url|--find-links", (ROOT / name).read_text())


def test_the_architecture_page_knows_every_room() -> None:
    """A room that is added is described."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    rooms = {room_of(p) for p in MODULES} - {"__init__"}

    assert set() == {room for room in rooms if f"`{room}" not in page}
