"""The commands, and the options that they share."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from watchdog.cli.exits import USAGE, explained, stop
from watchdog.installed import PROGRAM, version_of

app = typer.Typer(
    name="promptwatch",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Notices when a newly promoted LLM prompt made production worse, puts the last good version back, "
    "says why, and verifies the recovery.",
)

audits = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="The local audit. Every change of state, one hash after the other.",
)
app.add_typer(audits, name="audit")


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"promptwatch {version_of(PROGRAM)}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """What holds for all commands."""


class SchemaOf(Enum):
    """Files that have a schema."""

    CONFIG = "config"
    RULES = "rules"


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


IncidentsArgument = Annotated[list[str], typer.Argument(metavar="ID...", help="Ids of incidents, or their beginnings.")]
PromptArgument = Annotated[str, typer.Argument(metavar="PROMPT", help="Its slug.")]
ByOption = Annotated[
    str | None, typer.Option("--by", metavar="NAME", help="Who asks; default: the login name and the machine.")
]
NoWaitOption = Annotated[bool, typer.Option("--no-wait", help="Do not wait for the daemon's answer.")]
ForOption = Annotated[
    str | None, typer.Option("--for", metavar="DURATION", help="Such as 30m, 2h, 7d; default: until you end it.")
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
    context: typer.Context,
    named: ConfigArgument = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    rate: Annotated[
        float | None, typer.Option("--rate", min=1e-6, max=1e6, help="Calls a second of a prompt, for the strength.")
    ] = None,
    baseline_calls: Annotated[
        int | None, typer.Option("--baseline-calls", min=0, max=10**9, help="Calls in its baseline; with --rate.")
    ] = None,
) -> None:
    """Check the configuration and the rules. Says what they mean and can see; starts nothing."""
    from watchdog.cli import checking

    with explained():
        checking.check(_one(context, named, config), as_json=as_json, rate=rate, baseline_calls=baseline_calls)


@app.command()
def schema(which: Annotated[SchemaOf, typer.Argument(metavar="config|rules", help="Of which file.")]) -> None:
    """Print the JSON Schema of the configuration or of rule packs. For editors."""
    from watchdog.cli import checking

    with explained():
        checking.schema(rules=which is SchemaOf.RULES)


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
    packet: Annotated[
        bool, typer.Option("--packet", help="Print only its evidence packet, for `promptwatch explain FILE`.")
    ] = False,
) -> None:
    """Show one incident or watch. With all of its evidence and history; --json holds the evidence packet as well."""
    from watchdog.cli import reporting

    with explained():
        reporting.show(identifier, config, store, as_json=as_json, packet_only=packet)


@app.command()
def explain(
    identifier: Annotated[
        str, typer.Argument(metavar="ID|FILE", help="Id of an incident or a watch, or a file with its packet.")
    ],
    config: ConfigOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Judge it again from its evidence. Says how it came out, and whether it is what was decided, to the bit."""
    from watchdog.cli import explaining

    with explained():
        explaining.explain(identifier, config, store, as_json=as_json)


@audits.command("list")
def audit_list(
    config: ConfigOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many, the newest.")] = 20,
) -> None:
    """List the newest entries. What happened, who did it, and the entry's hash."""
    from watchdog.cli import auditing

    with explained():
        auditing.entries(config, store, as_json=as_json, limit=limit)


@audits.command("verify")
def audit_verify(
    config: ConfigOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
    head: Annotated[
        str, typer.Option("--head", metavar="HASH", help="A head that was kept elsewhere, as the log has it.")
    ] = "",
) -> None:
    """Walk the whole chain. Says its head, or where it breaks first and what that means."""
    from watchdog.cli import auditing

    with explained():
        auditing.verify(config, store, as_json=as_json, head=head)


@app.command()
def approve(
    identifiers: IncidentsArgument,
    fleet: Annotated[
        bool, typer.Option("--fleet", help="Also all other reverts that are held for the same outage.")
    ] = False,
    by: ByOption = None,
    no_wait: NoWaitOption = False,
    config: ConfigOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a revert that is held, suggested or counting down. Now, whatever the guards on automatic ones say."""
    from watchdog.cli import commanding

    with explained():
        asked = commanding.Asked(config=config, store=store, by=by, wait=not no_wait, as_json=as_json)
        commanding.about_incidents("approve", identifiers, asked, fleet=fleet)


@app.command()
def cancel(
    identifiers: IncidentsArgument,
    by: ByOption = None,
    no_wait: NoWaitOption = False,
    config: ConfigOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Stop a revert that was not sent yet. The version stays, and is watched on; from then on you are only told."""
    from watchdog.cli import commanding

    with explained():
        asked = commanding.Asked(config=config, store=store, by=by, wait=not no_wait, as_json=as_json)
        commanding.about_incidents("cancel", identifiers, asked)


@app.command()
def undo(
    identifiers: IncidentsArgument,
    by: ByOption = None,
    no_wait: NoWaitOption = False,
    config: ConfigOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put a reverted version back on production. It is watched on, and not reverted by itself again."""
    from watchdog.cli import commanding

    with explained():
        asked = commanding.Asked(config=config, store=store, by=by, wait=not no_wait, as_json=as_json)
        commanding.about_incidents("undo", identifiers, asked)


@app.command()
def hold(
    prompt: Annotated[str, typer.Argument(metavar="[PROMPT]", help="Slug of one prompt; none: all of them.")] = "",
    lasting: ForOption = None,
    why: Annotated[str, typer.Option("--why", metavar="TEXT", help="For those who find it on hold.")] = "",
    by: ByOption = None,
    no_wait: NoWaitOption = False,
    config: ConfigOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write nothing to the platform. Watching and telling go on; what would be reverted waits for `approve`."""
    from watchdog.cli import commanding

    with explained():
        asked = commanding.Asked(config=config, store=store, by=by, wait=not no_wait, as_json=as_json)
        given = {"for_s": commanding.seconds_of(lasting), "why": commanding.reason_of(why)}
        commanding.about_prompt("hold", prompt, asked, **given)


@app.command()
def resume(
    prompt: Annotated[str, typer.Argument(metavar="[PROMPT]", help="As it was given to `hold`.")] = "",
    by: ByOption = None,
    no_wait: NoWaitOption = False,
    config: ConfigOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """End a hold. Says what it left waiting for `approve`; reverts nothing of that by itself."""
    from watchdog.cli import commanding

    with explained():
        asked = commanding.Asked(config=config, store=store, by=by, wait=not no_wait, as_json=as_json)
        commanding.about_prompt("resume", prompt, asked)


@app.command()
def snooze(
    prompt: PromptArgument,
    lasting: ForOption = None,
    off: Annotated[bool, typer.Option("--off", help="End it now.")] = False,
    why: Annotated[str, typer.Option("--why", metavar="TEXT", help="For those who find it snoozed.")] = "",
    by: ByOption = None,
    no_wait: NoWaitOption = False,
    config: ConfigOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say nothing about a prompt and do nothing to it for a while. It is judged on; what still stands is told then."""
    from watchdog.cli import commanding

    if (lasting is None) is not off:
        stop(USAGE, "give --for and a duration, such as --for 2h, or --off")
    with explained():
        asked = commanding.Asked(config=config, store=store, by=by, wait=not no_wait, as_json=as_json)
        given = {"for_s": commanding.seconds_of(lasting), "off": off, "why": commanding.reason_of(why)}
        commanding.about_prompt("snooze", prompt, asked, **given)


@app.command()
def mute(
    prompt: PromptArgument,
    rule: Annotated[str, typer.Option("--rule", metavar="NAME", help="Only alerts of this rule.")] = "",
    lasting: ForOption = None,
    off: Annotated[bool, typer.Option("--off", help="Tell them again.")] = False,
    by: ByOption = None,
    no_wait: NoWaitOption = False,
    config: ConfigOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """No longer tell alerts of a prompt. What is suggested, counted down or reverted is told as ever."""
    from watchdog.cli import commanding

    with explained():
        asked = commanding.Asked(config=config, store=store, by=by, wait=not no_wait, as_json=as_json)
        given = {"for_s": commanding.seconds_of(lasting), "off": off, "rule": rule}
        commanding.about_prompt("mute", prompt, asked, **given)


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


@app.command()
def replay(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="CSV, JSON lines (also .gz) or Parquet; one row a call.")
    ],
    from_version: Annotated[str | None, typer.Option("--from", help="Version that is the baseline.")] = None,
    to_version: Annotated[str | None, typer.Option("--to", help="Version that is the candidate.")] = None,
    promote_at: Annotated[
        str | None,
        typer.Option(
            "--promote-at",
            metavar="ROW|TIME",
            help="Cut each stream in two here: 1001 (a row), 50% (of the rows), 3600s, 90m, or an ISO time.",
        ),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option("--column", metavar="FIELD=COLUMN", help="The file's own name of a field; repeatable."),
    ] = None,
    segment: Annotated[
        str | None,
        typer.Option("--segment", metavar="COLUMN", help="Compare like with like: a column such as task or route."),
    ] = None,
    stream: Annotated[str, typer.Option("--stream", metavar="GLOB", help="Only streams of such names.")] = "*",
    rules: Annotated[
        list[str] | None,
        typer.Option("--rules", metavar="PACK|FILE", help="A built-in rule pack or a file of rules; repeatable."),
    ] = None,
    every: Annotated[int | None, typer.Option("--every", min=1, help="Judge after every so many calls.")] = None,
    tick: Annotated[
        str | None, typer.Option("--tick", metavar="DURATION", help="Judge by the clock; the daemon does so with 10s.")
    ] = None,
    length: Annotated[
        str | None,
        typer.Option("--length", metavar="DURATION", help="How long a promotion is watched, where there are times."),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE", help="Also draw it: a file that ends in .html or .png.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a watch, one a line.")] = False,
) -> None:
    """Judge calls from files. What the watchdog would have said of this change, and after how many calls."""
    from watchdog.cli import replay as command

    with explained():
        command.replay(
            files,
            from_version=from_version,
            to_version=to_version,
            promote_at=promote_at,
            columns=column or (),
            segment=segment,
            streams=stream,
            rules=rules or (),
            every=every,
            tick=tick,
            length=length,
            plot=plot,
            as_json=as_json,
        )


@app.command()
def backtest(
    config: ConfigOption = None,
    days: Annotated[int, typer.Option("--days", min=1, max=3650, help="How far back.")] = 90,
    prompt: Annotated[str, typer.Option("--prompt", metavar="GLOB", help="Of the guarded prompts, only these.")] = "*",
    rules: Annotated[
        list[str] | None,
        typer.Option("--rules", metavar="PACK|FILE", help="These rules, not the configuration's; repeatable."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Judge your own past promotions. What would have been reverted, when, and how often for nothing."""
    from watchdog.cli import backtest as command

    with explained():
        command.run(config, days=days, prompts=prompt, rules=rules or (), as_json=as_json)


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
