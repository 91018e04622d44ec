"""The Compare page: what it finds, and that nothing in a prompt can become part of the page."""

from __future__ import annotations

import httpx
import pytest

from watchdog.embedded.compare import diff_lines


def _compare(running, **params):
    path = f"/prompts/{running.prompt_id}/compare"
    return running.client.get(path, params={"from": running.second, "to": running.first} | params)


def test_json_names_what_differs(running):
    """
    The temperature swing, which no text diff shows, and the edited body.
    """
    shown = _compare(running, format="json").json()

    assert ["temperature changed", "body changed"] == shown["findings"]
    assert {"id": running.second, "version": "1.1.0"} == shown["from"]
    assert {"id": running.first, "version": "1.0.0"} == shown["to"]
    assert {"name": "temperature", "from": 0.9, "to": 0.1, "changed": True} in shown["parameters"]
    assert not shown["system"]["changed"]
    assert [("removed", "Hi {{name}}"), ("added", "Hello {{name}}")] == [
        (line["kind"], "".join(piece["text"] for piece in line["pieces"])) for line in shown["body"]["lines"]
    ]


def test_accept_json_is_as_good_as_the_query(running):
    """
    Programs ask by header.
    """
    path = f"/prompts/{running.prompt_id}/compare?from={running.second}&to={running.first}"

    assert running.client.get(path, headers={"accept": "application/json"}).json()["findings"]


def test_the_page_is_html_and_needs_no_token_on_this_machine(running):
    """
    A person follows the link in Slack.
    """
    running.client.headers.pop("authorization")

    answer = _compare(running)

    assert "text/html; charset=utf-8" == answer.headers["content-type"]
    assert "temperature changed" in answer.text
    assert "in production" in answer.text


def test_nothing_of_a_prompt_becomes_markup(running):
    """
    In the body, the system prompt, a variable, a parameter and the prompt's own name.
    """
    evil = "<script>alert(1)</script>"
    admin = running.platform.admin
    prompt_id = admin.create_prompt("evil", evil)
    first = admin.save_version(prompt_id, user="plain")
    second = admin.save_version(
        prompt_id,
        model=evil,
        system=evil,
        user=evil,
        variables={evil: {"description": evil}},
        stop_sequences=[evil],
    )

    page = running.get(f"/prompts/{prompt_id}/compare", **{"from": first, "to": second}).text

    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 7


def test_the_page_loads_nothing_and_may_run_nothing(running):
    """
    No address of any other host, no script, and a policy that says so.
    """
    answer = _compare(running)

    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "http" not in answer.text
    assert "src=" not in answer.text


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "192.168.1.5"])
def test_another_host_name_is_refused(running, host):
    """
    DNS rebinding: a foreign page must not read prompts through the user's browser.
    """
    path = f"/prompts/{running.prompt_id}/compare?from={running.second}&to={running.first}"

    answer = running.client.get(path, headers={"host": host})

    assert (403, "LOOPBACK_ONLY") == (answer.status_code, answer.json()["errorCode"])


def test_localhost_is_one_of_our_names(running):
    """
    People type it.
    """
    path = f"/prompts/{running.prompt_id}/compare?from={running.second}&to={running.first}"

    assert 200 == running.client.get(path, headers={"host": "localhost:8000"}).status_code


def test_versions_of_another_prompt_are_not_found(running):
    """
    404 with the envelope.
    """
    answer = _compare(running, to="ver_none")

    assert (404, "NOT_FOUND") == (answer.status_code, answer.json()["errorCode"])


def test_a_version_compared_with_itself_shows_no_finding(running):
    """
    The page says so in words.
    """
    assert "The two versions are identical." in _compare(running, to=running.second).text


def test_an_edited_line_shows_the_words_that_changed():
    """
    Pieces, of which only the edit is marked.
    """
    removed, added = diff_lines("Think step by step.", "Think step by hand.")

    assert ["step"] == [piece.text for piece in removed.pieces if piece.changed]
    assert ["hand"] == [piece.text for piece in added.pieces if piece.changed]


def test_lines_keep_their_numbers_in_both_versions():
    """
    A line taken out shifts those after it.
    """
    lines = diff_lines("one\ntwo\nthree", "one\nthree")

    assert [("same", 1, 1), ("removed", 2, None), ("same", 3, 2)] == [
        (line.kind, line.from_number, line.to_number) for line in lines
    ]


def test_a_removed_variable_is_a_changed_schema(running):
    """
    The breaking change that a major version stands for.
    """
    third = running.platform.admin.save_version(running.prompt_id, user="Hello {{name}}", temperature=0.1, major=True)

    shown = _compare(running, to=third, format="json").json()

    assert "variable schema changed" in shown["findings"]
    assert httpx.codes.OK == _compare(running, to=third).status_code
