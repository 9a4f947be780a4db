"""Files in a mail: which a rule may name, and what a recipient sees of their names."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from rules_engine.actions.mail.attachments import (
    LONGEST_NAME,
    MOST_FILES,
    clean_name,
    content_type,
    load,
    problems,
    reads,
)
from rules_engine.errors import PermanentError
from rules_engine.types import ActionContext, Event, RuleSpec, new_id

PRODUCT = RuleSpec(slug="r", model="shop.product", signals=("post_save",))


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("invoice.pdf", "invoice.pdf"),
        ("2026/01/invoice.pdf", "invoice.pdf"),
        ("..\\..\\invoice.pdf", "invoice.pdf"),
        ('in"vo;ice.pdf', "invoice.pdf"),
        ("in\r\nvoice.pdf", "invoice.pdf"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ("Größe.pdf", "Größe.pdf"),
        ("  .hidden ", "hidden"),
        ("...", "attachment"),
        ("", "attachment"),
        ("folder/", "attachment"),
        ("\x00\u200b", "attachment"),
    ],
)
def test_a_files_name_is_its_last_part_in_characters_that_are_seen(name: str, shown: str) -> None:
    assert clean_name(name) == shown


@pytest.mark.parametrize("name", ["x" * 500 + ".pdf", "x" * 500, "x." + "y" * 500, "ä" * 300 + ".jpeg"])
def test_a_long_name_is_cut(name: str) -> None:
    assert len(clean_name(name)) == LONGEST_NAME


def test_a_long_name_keeps_its_ending() -> None:
    assert clean_name("x" * 500 + ".pdf").endswith("x.pdf")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.pdf", "application/pdf"),
        ("a.PDF", "application/pdf"),
        ("a.txt", "text/plain"),
        ("a.eml", "application/octet-stream"),
        ("a.mht", "application/octet-stream"),
        ("a.tar.gz", "application/octet-stream"),
        ("a.no-such-ending", "application/octet-stream"),
        ("a", "application/octet-stream"),
    ],
)
def test_a_files_kind_goes_by_its_ending_and_a_message_is_bytes(name: str, kind: str) -> None:
    assert content_type(name) == kind


@pytest.mark.parametrize("attachments", [["instance.image"], ["instance.images.image"], [], None])
def test_a_file_of_the_object_or_of_its_rows_may_be_named(attachments: Any) -> None:
    assert list(problems({"attachments": attachments}, PRODUCT)) == []


@pytest.mark.parametrize(
    "attachments", ["instance.image", [5], ["instance.name"], ["instance.imge"], ["image"], ["old.image"]]
)
def test_what_is_no_file_is_told(attachments: Any) -> None:
    [problem] = problems({"attachments": attachments}, PRODUCT)
    assert problem.pointer.startswith("/attachments")
    assert problem.message.endswith(".") or problem.message.endswith("?")


def test_the_names_of_files_are_read_and_of_rows_their_columns_too() -> None:
    config = {"attachments": ["instance.image", "instance.images.image", "instance.nothing", 5]}
    assert set(reads(config, PRODUCT)) == {
        ("instance", "image"),
        ("instance", "images", "image"),
        ("instance", "images", "*"),
    }


def context_of(instance: Any) -> ActionContext:
    event_id = new_id()
    at = datetime(2026, 1, 31, tzinfo=UTC)
    event = Event(event_id, "post_save", "update", "shop.product", 1, at, event_id, 0, {"instance": instance})
    return ActionContext(new_id(), 1, event, "r", 1)


@pytest.mark.parametrize("instance", [{"image": ""}, None])
def test_an_empty_field_has_no_file(instance: Any) -> None:
    assert load(context_of(instance), {"attachments": ["instance.image"]}) == []


@pytest.mark.parametrize("instance", [{"image": None}, {}])
def test_a_file_whose_name_was_not_recorded_is_not_guessed(instance: Any) -> None:
    with pytest.raises(PermanentError, match=r"recorded without the value of instance\.image"):
        load(context_of(instance), {"attachments": ["instance.image"]})


def test_one_mail_takes_a_bounded_number_of_files() -> None:
    rows = [{"image": f"products/{number}.png"} for number in range(MOST_FILES + 1)]
    with pytest.raises(PermanentError, match="51 files are to be attached, and a mail takes 50"):
        load(context_of({"images": rows}), {"attachments": ["instance.images.image"]})
