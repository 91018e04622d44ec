"""The command line as a whole: its help, and what it makes of mistakes."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest
import typer.main

from tests.acceptance.shell import promptwatch
from watchdog.cli.app import app

if TYPE_CHECKING:
    from typing import Any

pytestmark = pytest.mark.acceptance

COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
PARAMETERS = [
    (name, parameter)
    for name, command in COMMANDS.items()
    for parameter in command.get_params(command.make_context(name, ["x"], resilient_parsing=True))
]


def test_the_commands_are_these():
    """A new one needs its tests and its line in the README."""
    guarding = {"run", "demo", "check", "doctor", "status", "incidents", "show", "embedded"}

    human = {"approve", "cancel", "undo", "hold", "resume", "snooze", "mute"}

    assert guarding | human | {"explain", "audit", "replay", "backtest", "schema"} == set(COMMANDS)


def test_the_version_is_that_of_what_is_installed(tmp_path):
    """As packets have it too: who explains one elsewhere compares them."""
    ended = promptwatch("--version", folder=tmp_path)

    assert (0, f"promptwatch {version('prompt-watchdog')}\n") == (ended.status, ended.out)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name):
    """A sentence in the list of commands that is not cut off, and every parameter in its own page."""
    command = COMMANDS[name]

    assert command.help
    assert not command.get_short_help_str(limit=60).endswith("...")


@pytest.mark.parametrize(("name", "parameter"), PARAMETERS, ids=lambda value: getattr(value, "name", value))
def test_every_parameter_is_documented(name, parameter):
    """With a sentence that ends."""
    assert parameter.help
    assert parameter.help.endswith(".")


@pytest.mark.parametrize("arguments", [(), ("--help",)])
def test_alone_it_shows_its_help(tmp_path, arguments):
    """With every command."""
    ended = promptwatch(*arguments, folder=tmp_path)

    assert ended.status == (0 if arguments else 2)
    for name in COMMANDS:
        assert f"\n  {name} " in ended.out + ended.err


@pytest.mark.parametrize("name", COMMANDS)
def test_the_readme_shows_every_command(name):
    """In the table of commands."""
    from pathlib import Path

    readme = (Path(__file__).parents[2] / "README.md").read_text()

    assert f"| `promptwatch {name}" in readme


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("chekc", "No such command 'chekc'. Did you mean 'check'?"),
        ("run --nope", "No such option"),
        ("run no-such.toml", "no-such.toml: there is no such file; copy config.example.toml"),
        ("run .", ".: is a folder; name the file in it"),
        ("run --config", "requires an argument"),
        ("demo --speed 1", "Invalid value for '--speed'"),
        ("demo --speed nan", "Invalid value for '--speed'"),
        ("embedded --port 99999", "Invalid value for '--port'"),
        ("embedded --traffic inf", "Invalid value for '--traffic'"),
        ("incidents --limit 0", "Invalid value for '--limit'"),
        ("show", "Missing argument 'ID'"),
        ("status", "no config.toml here; name one with --config, or the daemon's database with --store"),
    ],
)
def test_a_mistake_is_a_usage_error_that_says_what_is_wrong(tmp_path, arguments, says):
    """Status 2, no traceback, nothing started and no file made."""
    ended = promptwatch(*arguments.split(), folder=tmp_path, timeout_s=20.0)

    assert 2 == ended.status
    assert says in ended.err
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("arguments", ["demo --dir file", "demo --dir file/below", "embedded --db no/such/folder.db"])
def test_a_place_that_cannot_be_used_is_named(tmp_path, arguments):
    """Status 3, no traceback."""
    (tmp_path / "file").write_text("")

    ended = promptwatch(*arguments.split(), folder=tmp_path)

    assert 3 == ended.status
    assert arguments.split()[2] in ended.err
