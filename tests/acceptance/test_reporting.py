"""`promptwatch status`, `incidents` and `show`: tables for people, lines for pipes, JSON for machines."""

from __future__ import annotations

import json
import os
import re
import subprocess

import pytest

from tests.acceptance.shell import PROGRAM, TRACEBACK, environment, in_terminal, promptwatch

pytestmark = pytest.mark.acceptance


def plain(shown: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", shown)


def test_in_a_pipe_status_is_lines_of_tab_separated_fields(finished):
    """Three promotions, newest first, no colours."""
    ended = promptwatch("status", finished.store, folder=finished.folder)

    header, caught, harmful, harmless = [line.split("\t") for line in ended.out.splitlines() if "\t" in line]
    assert ["watch", "prompt", "promotion", "state", "verdict", "calls", "success", "p95", "cost"] == header
    assert ["opinion-survey", "v1.0.0 -> v1.1.0", "watching", "ok"] == caught[1:5]
    assert ["is-prime", "v1.0.0 -> v1.2.0", "tripped", "regressed"] == harmful[1:5]
    assert ["happy-numbers", "v1.0.0 -> v1.1.0", "watching", "ok"] == harmless[1:5]
    assert "\x1b" not in ended.out
    assert ended.out.startswith("6 prompts known, platform last read 20")


def test_in_a_terminal_status_is_a_table_in_colours(finished):
    """The columns stand under each other."""
    shown = in_terminal("status", finished.store, folder=finished.folder, columns=160)

    lines = plain(shown).splitlines()
    (header,) = [line for line in lines if line.startswith("watch ")]
    (harmful,) = [line for line in lines if " v1.0.0 -> v1.2.0 " in line]
    assert header.index("verdict") == harmful.index("regressed")
    assert "\x1b[31mregressed" in shown
    assert "\t" not in shown


def test_a_narrow_terminal_loses_nothing_of_an_id(finished):
    """Or it could not be copied into `show`."""
    shown = plain(in_terminal("incidents", finished.store, folder=finished.folder, columns=80))

    assert finished.report["incident"]["id"][:8] in shown


def test_incidents_lists_what_was_reverted(finished):
    """One line, with where it went, why, and how it ended."""
    ended = promptwatch("incidents", finished.store, folder=finished.folder)

    _, (identifier, _, prompt, bad, target, state, recovery, rules) = [
        line.split("\t") for line in ended.out.splitlines()
    ]
    assert finished.report["incident"]["id"].startswith(identifier)
    assert ["is-prime", "v1.2.0", "v1.0.0", "done", "recovered", "success"] == [
        prompt,
        bad,
        target,
        state,
        recovery,
        rules,
    ]


def test_show_takes_the_beginning_of_an_id(finished):
    """As the tables print it; it tells the whole story of the incident and of its watch."""
    identifier = finished.report["incident"]["id"]

    ended = promptwatch("show", identifier[:8], finished.store, folder=finished.folder)

    assert 0 == ended.status
    assert f"Incident {identifier}" in ended.out
    assert "v1.2.0 -> v1.0.0: done" in ended.out
    assert "sending -> promoted" in ended.out
    assert "watching -> tripped" in ended.out
    assert "/compare?from=" in ended.out


def test_show_takes_a_watch_without_an_incident(finished):
    """The harmless promotion."""
    seen = json.loads(promptwatch("status", "--json", finished.store, folder=finished.folder).out)
    (harmless,) = [watch for watch in seen["watches"] if watch["prompt"] == "happy-numbers"]

    ended = promptwatch("show", harmless["id"][:8], finished.store, folder=finished.folder)

    assert 0 == ended.status
    assert f"Watch {harmless['id']}" in ended.out
    assert "Incident" not in ended.out


@pytest.mark.parametrize(("command", "kind"), [("status", dict), ("incidents", list), ("show", dict)])
def test_json_is_one_value(finished, command, kind):
    """In a terminal just as in a pipe: nothing folds it and nothing colours it."""
    identifier = [finished.report["incident"]["id"]] if command == "show" else []

    shown = in_terminal(command, *identifier, "--json", finished.store, folder=finished.folder, columns=40)

    assert isinstance(json.loads(shown), kind)


def test_an_unknown_id_is_refused(finished):
    """With where to find the known ones."""
    ended = promptwatch("show", "nonsense", finished.store, folder=finished.folder)

    assert (1, "") == (ended.status, ended.out)
    assert "'nonsense' fits no incident and no watch; see `promptwatch incidents`" in ended.err


def test_an_ambiguous_beginning_is_refused(finished):
    """With all that it fits."""
    ended = promptwatch("show", "", finished.store, folder=finished.folder)

    assert 1 == ended.status
    assert finished.report["incident"]["id"] in ended.err
    assert "give more of the id" in ended.err


@pytest.mark.parametrize("command", [("status",), ("show", "x")])
def test_before_any_daemon_ran_it_says_so(guarded, command):
    """And makes no file."""
    ended = guarded.promptwatch(*command)

    assert 3 == ended.status
    assert "promptwatch.db: no such database; start the daemon first" in ended.err
    assert not (guarded.folder / "promptwatch.db").exists()


def test_before_any_promotion_there_is_nothing_to_show(finished, tmp_path):
    """Which is no error."""
    from watchdog.store.database import Store

    store = Store(f"sqlite:///{tmp_path / 'fresh.db'}")
    store.migrate()
    store.close()

    seen = promptwatch("status", "--store=sqlite:///fresh.db", folder=tmp_path)
    listed = promptwatch("incidents", "--store=sqlite:///fresh.db", folder=tmp_path)

    assert "No promotion has been seen yet." in seen.out
    assert "No incidents.\n" == listed.out


@pytest.mark.parametrize("address", ["nonsense", "sqlite:///:memory:", "postgresql://u:secret@host"])
def test_an_address_of_no_database_is_a_usage_error(tmp_path, address):
    """The password in it is not repeated."""
    ended = promptwatch("status", "--store", address, folder=tmp_path)

    assert 2 == ended.status
    assert ended.err.startswith("promptwatch: --store: ")
    assert "secret" not in ended.err


@pytest.mark.parametrize("command", ["status", "incidents", "show ID --json", "demo", "--help"])
def test_a_reader_that_leaves_is_no_failure(finished, tmp_path, command):
    """As `head -1` does: no traceback, and nothing else on standard error."""
    arguments = command.replace("ID", finished.report["incident"]["id"]).split()
    if arguments[0] == "demo":
        arguments.append(f"--dir={finished.folder}")
    elif arguments[0] != "--help":
        arguments.append(finished.store)
    reader, writer = os.pipe()
    os.close(reader)

    with os.fdopen(writer, "w") as gone:
        ended = subprocess.run(
            [PROGRAM, *arguments], cwd=tmp_path, env=environment({}), stdout=gone, stderr=subprocess.PIPE, text=True
        )

    assert TRACEBACK not in ended.stderr
    assert "" == ended.stderr
    assert ended.returncode in ((0, 1) if command == "--help" else (0,))
