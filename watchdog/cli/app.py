"""The commands, and the options that they share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from watchdog.cli.exits import USAGE, explained, stop

app = typer.Typer(
    name="promptwatch",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Notices when a newly promoted LLM prompt made production worse, puts the last good version back, "
    "says why, and verifies the recovery.",
)

ConfigArgument = Annotated[
    Path | None, typer.Argument(metavar="CONFIG", help="Configuration file; default: ./config.toml.")
]
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", envvar="PROMPTWATCH_CONFIG", help="Configuration file; default: ./config.toml."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
StoreOption = Annotated[
    str | None, typer.Option("--store", help="Database address, instead of the one in the configuration.")
]


@app.command()
def run(context: typer.Context, named: ConfigArgument = None, config: ConfigOption = None) -> None:
    """Guard the configured platform. Without a configuration, guard a sample platform with sample traffic."""
    from watchdog.cli import running

    with explained():
        running.run(_one(context, named, config))


@app.command()
def demo(
    as_json: JsonOption = False,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the platform running and print its addresses.")] = False,
    folder: Annotated[
        Path | None, typer.Option("--dir", help="Keep everything here, and go on from there if it was interrupted.")
    ] = None,
    speed: Annotated[float, typer.Option(min=2, max=200, help="Seconds of the demo's clock in one second.")] = 60.0,
) -> None:
    """Show the whole job in a minute. A harmless promotion, a harmful one, the revert, Slack, the recovery."""
    from watchdog.cli import demo as command

    with explained():
        command.run(as_json=as_json, keep=keep, folder=folder, speed=speed)


@app.command()
def check(
    context: typer.Context, named: ConfigArgument = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Check the configuration and the rules. Starts nothing."""
    from watchdog.cli import checking

    with explained():
        checking.check(_one(context, named, config), as_json=as_json)


@app.command()
def doctor(
    context: typer.Context, named: ConfigArgument = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Try everything that the daemon needs. Platform, scopes, clock, database, Slack; changes nothing."""
    from watchdog.cli import checking

    with explained():
        checking.doctor(_one(context, named, config), as_json=as_json)


@app.command()
def status(config: ConfigOption = None, store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Show what is watched, and what the numbers say."""
    from watchdog.cli import reporting

    with explained():
        reporting.status(config, store, as_json=as_json)


@app.command()
def incidents(
    config: ConfigOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
    limit: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = 20,
) -> None:
    """List incidents. What was reverted, why, and whether it recovered."""
    from watchdog.cli import reporting

    with explained():
        reporting.incidents(config, store, as_json=as_json, limit=limit)


@app.command()
def show(
    identifier: Annotated[str, typer.Argument(metavar="ID", help="Id of an incident or a watch, or its beginning.")],
    config: ConfigOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one incident or watch. With all of its evidence and history."""
    from watchdog.cli import reporting

    with explained():
        reporting.show(identifier, config, store, as_json=as_json)


@app.command()
def embedded(
    database: Annotated[Path, typer.Option("--db", help="SQLite file of the platform.")] = Path("embedded.db"),
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8787,
    traffic: Annotated[float, typer.Option(min=0, max=1000, help="Sample calls a second; 0 for none.")] = 0.0,
) -> None:
    """Run the embedded PromptHelm-compatible platform. On loopback, with sample prompts."""
    from watchdog.cli import running

    with explained():
        running.embedded(database, port, traffic)


def _one(context: typer.Context, named: Path | None, option: Path | None) -> Path | None:
    """The configuration file, however it was named; the command line outdoes PROMPTWATCH_CONFIG."""
    if named is None:
        return option
    source = context.get_parameter_source("config")
    if source is not None and source.name == "COMMANDLINE":
        stop(USAGE, f"two configurations are named, {named} and {option}; keep one")
    return named


def main() -> None:
    """Entry point of `promptwatch`."""
    app()
