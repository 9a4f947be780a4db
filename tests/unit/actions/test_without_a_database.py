"""What mails, tasks, signals and files say of their settings and of what they would do, before anything is stored."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from project.shop.models import Product
from rules_engine.actions.files import stored_files
from rules_engine.actions.replay_executions import Selection, from_json
from rules_engine.errors import PermanentError, Refused
from rules_engine.rules.contract import Preview
from rules_engine.types import ActionContext, Event, RuleSpec, new_id
from tests.unit.actions.test_contracts import SAVED, kind

ADA = {"instance": {"pk": 7, "name": "Rex", "email": "ada@example.com", "image": "b.png"}, "old": {"image": "a.png"}}
PRODUCT = RuleSpec(slug="r", model="shop.product", signals=("post_save",))
MAIL = {"to": ["{{ instance.email }}"], "subject": "About {{ instance.name }}", "body": "One\n\ntwo"}


def context_of(model: str = "zoo.animal", operation: str = "update", data: Any = None) -> ActionContext:
    number, at = new_id(), datetime(2026, 1, 31, tzinfo=UTC)
    event = Event(number, "post_save", operation, model, 7, at, number, 0, ADA if data is None else data)
    return ActionContext(new_id(), 1, event, "r", 1)


def said(name: str, config: Mapping[str, Any], rule: RuleSpec = SAVED) -> dict[str, str]:
    return {problem.pointer: problem.message for problem in kind(name).validate_config(config, rule)}


def shown(name: str, config: Mapping[str, Any], **of: Any) -> Preview:
    return kind(name).preview(context_of(**of), config)


# Mail


@pytest.mark.parametrize(
    ("changed", "problems"),
    [
        ({}, {}),
        ({"html": "<b>{{ instance.name }}</b>", "reply_to": "{{ instance.name }}"}, {}),
        ({"reply_to": {"var": "instance.name"}, "html": None, "attachments": None}, {}),
        ({"subject": ""}, {"/subject": "Write the subject of the message."}),
        ({"body": None}, {"/body": "Write the text of the message."}),
        ({"body": 5}, {"/body": "Expected text, and got 5."}),
        ({"subject": ["a"]}, {"/subject": "Expected text, and got ['a']."}),
        (
            {"html": {"var": "instance.name"}},
            {"/html": "Expected text: values are made safe for HTML where a template prints them."},
        ),
        (
            {"attachments": "a"},
            {"/attachments": "Expected a list of file fields, such as instance.image, and got 'a'."},
        ),
        ({"to": []}, {"/to": "Name at least one recipient, such as {{ instance.email }}."}),
        ({"to": [5]}, {"/to/0": "Expected text, and got 5."}),
    ],
)
def test_what_a_mail_lacks_is_said_at_its_place(changed: dict[str, Any], problems: dict[str, str]) -> None:
    assert said("send_email", {"to": ["ada@example.com"], "subject": "s", "body": "b", **changed}) == problems


def test_a_reply_that_goes_nowhere_is_said_before_the_rule_runs() -> None:
    config = {"to": ["ada@example.com"], "subject": "s", "body": "b"}
    assert list(said("send_email", {**config, "reply_to": "no address"})) == ["/reply_to"]
    with pytest.raises(PermanentError, match=r"^Reply to: "):
        shown("send_email", {**MAIL, "reply_to": "{{ instance.name }}"})


def test_a_mail_is_shown_as_it_would_be_sent(settings: Any) -> None:
    settings.DEFAULT_FROM_EMAIL = "shop@example.com"
    preview = shown("send_email", MAIL)
    assert preview.summary == "Mails ada@example.com"
    assert preview.details == {
        "From": "shop@example.com",
        "To": "ada@example.com",
        "Subject": "About Rex",
        "Text": "One\n\ntwo",
    }
    more = {"reply_to": " {{ instance.email }} ", "html": "<b>{{ instance.name }}</b>", "html_from_text": True}
    further = shown("send_email", {**MAIL, **more}, data={"instance": {**ADA["instance"], "name": "<Rex>"}}).details
    assert further["HTML"] == "<b>&lt;Rex&gt;</b>"
    assert further["Reply to"] == "ada@example.com"
    assert shown("send_email", {**MAIL, "html_from_text": True}).details["HTML"] == "made from the text"


@pytest.mark.parametrize("empty", [None, "", "{{ old.nothing|default:'  ' }}"])
def test_a_reply_that_comes_out_empty_goes_to_the_sender(empty: str | None) -> None:
    assert "Reply to" not in shown("send_email", {**MAIL, "reply_to": empty}).details


def test_who_cannot_be_mailed_is_shown_beside_who_can() -> None:
    details = shown("send_email", {**MAIL, "to": ["{{ instance.name }}", "bob@example.com"]}).details
    assert details["To"] == "bob@example.com"
    assert details["Not mailed"]


@pytest.mark.parametrize(
    ("subject", "written"),
    [("a\n b\t\tc ", "a b c"), ("x" * 300, "x" * 250), ("{{ instance.name }}\r\nBcc: x", "Rex Bcc: x")],
)
def test_a_subject_is_one_line_that_is_not_too_long(subject: str, written: str) -> None:
    assert shown("send_email", {**MAIL, "subject": subject}).details["Subject"] == written


@pytest.mark.parametrize(
    ("limits", "error", "sentence"),
    [
        ({"EMAIL_RECIPIENTS": 1}, Refused, '2 recipients; RULES_ENGINE["EMAIL_RECIPIENTS"] is 1.'),
        ({"EMAIL_RECIPIENTS": 9, "ROWS_LIMIT": 1}, Refused, '2 recipients; RULES_ENGINE["ROWS_LIMIT"] is 1.'),
        ({"EMAIL_DOMAINS": ["example.org"]}, Refused, None),
    ],
)
def test_a_site_bounds_whom_a_rule_mails(settings: Any, limits: Any, error: Any, sentence: str | None) -> None:
    two = {**MAIL, "to": ["ada@example.com", "bob@example.com"]}
    assert shown("send_email", two).details["To"] == "ada@example.com\nbob@example.com"
    settings.RULES_ENGINE = limits
    with pytest.raises(error) as raised:
        shown("send_email", two)
    assert sentence is None or str(raised.value) == sentence


def test_a_mail_to_nobody_says_so() -> None:
    with pytest.raises(PermanentError, match=r"^No recipient is left: every address came out empty"):
        shown("send_email", {**MAIL, "to": ["", " "]})


# Tasks and signals


@pytest.mark.parametrize(
    ("queue", "is_one"),
    [
        ("mail", True),
        ("a.b:c-d_e", True),
        ("x" * 200, True),
        ("", True),
        (None, True),
        ("x" * 201, False),
        (".hidden", False),
        ("a/b", False),
        ("a b", False),
        ("mail\n", False),
        ("größe", False),
        (5, False),
    ],
)
def test_a_queue_has_a_plain_name(settings: Any, queue: Any, is_one: bool) -> None:
    settings.RULES_ENGINE = {"TASKS": {"shop.pack": "Pack it"}}
    config = {"task": "shop.pack", "queue": queue}
    sentence = f"Expected the name of a queue, of letters, digits and _ . : -, and got {queue!r}."
    assert said("run_task", config) == ({} if is_one else {"/queue": sentence})
    if is_one:
        assert shown("run_task", config).details.get("Queue") == (queue or None)
    else:
        with pytest.raises(Refused, match=r"^Expected the name of a queue"):
            kind("run_task").run(context_of(), config)


def test_a_task_is_shown_in_the_words_of_the_site(settings: Any) -> None:
    settings.RULES_ENGINE = {"TASKS": {"shop.pack": "Pack it", "shop.send": "Send it"}}
    rows = [{"name": "order", "value": {"var": "instance.pk"}}]
    preview = shown("run_task", {"task": "shop.pack", "arguments": rows})
    assert preview.summary == "Asks Celery for Pack it"
    assert preview.details == {"Task": "shop.pack", "Arguments": {"order": 7}}
    listed = 'RULES_ENGINE["TASKS"] has: shop.pack, shop.send.'
    assert said("run_task", {}) == {"/task": f"Name the task to run. {listed}"}
    for name in ("shop.burn", 5, ["shop.pack"]):
        assert said("run_task", {"task": name})["/task"].startswith(f'Rules may not run the task "{name}".')


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("post_save", "\"post_save\" is Django's to send; rules send signals of the site's own. "),
        ("user_logged_in", "\"user_logged_in\" is Django's to send; rules send signals of the site's own. "),
        ("no.such_signal", 'There is no signal "no.such_signal" here.'),
    ],
)
def test_only_a_signal_of_the_sites_own_is_sent(name: str, words: str) -> None:
    sentence = said("send_signal", {"signal": name})["/signal"]
    assert sentence.startswith(words)
    for use in (kind("send_signal").preview, kind("send_signal").run):
        with pytest.raises(Refused) as raised:
            use(context_of(), {"signal": name})
        assert str(raised.value) == sentence


# Files


@pytest.mark.parametrize("name", ["a.png", "cv/ada.pdf", "cv/.hidden", "a..b", "größe/ü.png"])
def test_a_plain_name_is_a_file_that_may_go(name: str) -> None:
    stored_files.permit(name)
    data = {"instance": {"image": name}}
    assert shown("delete_files", {"fields": "image"}, model="shop.product", operation="delete", data=data).details == {
        "Files": name
    }


@pytest.mark.parametrize("name", ["cv/./ada.pdf", "cv//ada.pdf", "./a.png", "cv\\ada.pdf"])
def test_a_name_that_no_other_row_would_write_so_is_refused(name: str) -> None:
    with pytest.raises(Refused, match=r"^The stored name .* is no plain path, such as "):
        stored_files.permit(name)


@pytest.mark.parametrize(
    ("operation", "data", "files"),
    [
        ("update", ADA, "a.png"),
        ("update", {"instance": {"image": "a.png"}, "old": {"image": "a.png"}}, None),
        ("update", {"instance": {"image": "b.png"}, "old": {"image": ""}}, None),
        ("update", {"instance": {"image": "b.png"}, "old": None}, None),
        ("update", {"instance": {"image": ""}, "old": {"image": "a.png"}}, "a.png"),
        ("delete", {"instance": {"image": "b.png"}}, "b.png"),
        ("delete", {"instance": {"image": ""}}, None),
    ],
)
def test_the_file_that_was_there_goes_and_no_other(operation: str, data: Any, files: str | None) -> None:
    config = {"fields": ["image", "image"]}
    preview = shown("delete_files", config, model="shop.product", operation=operation, data=data)
    assert preview.details == ({} if files is None else {"Files": files})
    assert preview.summary == ("No file to delete" if files is None else "Deletes files that nothing else uses")


def test_files_that_cannot_be_known_are_an_error_in_words() -> None:
    config = {"fields": ["image"]}
    with pytest.raises(PermanentError, match='without its field "image" having been loaded'):
        shown("delete_files", config, model="shop.product", operation="delete", data={"instance": {}})
    with pytest.raises(PermanentError, match=r'^There is no model "shop.gone" any more'):
        shown("delete_files", config, model="shop.gone")
    with pytest.raises(PermanentError, match=r'^"name" is no file field any more'):
        shown("delete_files", {"fields": ["name"]}, model="shop.product", data={"old": {"name": "a"}})


def test_who_may_delete_files_may_change_or_delete_their_object() -> None:
    asked = kind("delete_files").permissions
    config = {"fields": ["image", "nothing"]}
    assert set(asked(config, PRODUCT)) == {"shop.change_product"}
    both = RuleSpec(slug="r", model="shop.product", signals=("post_save", "pre_delete"))
    assert set(asked({"fields": ["image", "images.image"]}, both)) == {
        "shop.change_product",
        "shop.delete_product",
        "shop.delete_productimage",
    }
    assert set(asked(config, RuleSpec(slug="r", signals=("user_logged_in",)))) == set()


def test_removing_a_file_says_whether_it_was_there(tmp_path: Path, settings: Any) -> None:
    settings.MEDIA_ROOT = str(tmp_path)
    field: Any = Product._meta.get_field("image")
    (tmp_path / "a.png").write_bytes(b"x")
    assert [stored_files.remove(field, "a.png") for _ in range(2)] == [True, False]
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(Refused, match=r"^The storage does not take the name"):
        stored_files.remove(field, "../a.png")


# Replays

MOMENT = datetime(2026, 1, 31, 8, 30, 0, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    "selection",
    [
        Selection("webhooks", ("crm",)),
        Selection("webhooks", ("crm", "crm:test"), MOMENT, MOMENT, ("succeeded", "discarded"), {"status": [500, 599]}),
        Selection("", ("a",), until=MOMENT, failing=True),
    ],
)
def test_what_is_to_be_replayed_is_read_as_it_was_ordered(selection: Selection) -> None:
    stored = selection.as_json()
    assert from_json(stored) == selection
    # As an earlier release has written it.
    earlier = {key: value for key, value in stored.items() if key not in ("detail", "failing")}
    assert from_json(earlier) == Selection(
        selection.queue, selection.lanes, selection.since, selection.until, selection.states
    )


@pytest.mark.parametrize("state", ["available", "retryable", "", "SUCCEEDED"])
def test_only_what_has_ended_is_replayed(state: str) -> None:
    with pytest.raises(ValueError, match=f"^Expected states that executions end in .* and got '{state}'"):
        Selection("webhooks", ("crm",), states=("succeeded", state))


def test_no_rule_orders_a_replay() -> None:
    sentence = "Executions are replayed by people, from the admin or the command line, and not by a rule."
    assert said("replay_executions", {}) == {"": sentence}
