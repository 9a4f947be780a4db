"""Whatever data holds, a mail goes to one plain address a recipient, and a file's name is one that is seen whole."""

from __future__ import annotations

import re
import unicodedata
from email.headerregistry import Address
from email.message import EmailMessage
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules_engine.actions.mail.attachments import INVISIBLE, LONGEST_NAME, clean_name, content_type
from rules_engine.actions.mail.recipients import LONGEST_ADDRESS, find, is_constant, plain
from rules_engine.context.plain_data import safe
from rules_engine.errors import PermanentError
from tests.examples import examples

#: What makes two addresses of one, a header of an address, or a name of something else.
PIECES = [
    "ada",
    "@",
    "example.com",
    ".",
    ",",
    ";",
    " ",
    "\n",
    "\r\nBcc: x@y.z",
    "<",
    ">",
    '"',
    "(",
    ")",
    "ü",
    "。",
    "\x00",
    "\ud800",
    ":",
    "%",
    "xn--",
    "-",
]
WRITTEN = st.lists(st.sampled_from(PIECES), max_size=8).map("".join) | st.emails() | st.text(max_size=20)
NAMES = st.text(st.sampled_from("ab./\\ \"';:<>|*?%\u202e\u200b\n\x00ü😀") | st.characters(), max_size=160)


def accepted(written: str) -> str | None:
    try:
        return plain(written)
    except PermanentError:
        return None


@settings(max_examples=examples(250), deadline=None)
@given(WRITTEN)
def test_what_is_taken_is_one_address_that_no_header_reads_otherwise(written: str) -> None:
    address = accepted(written)
    if address is None:
        return
    assert re.fullmatch(r"[!-~]+@[!-~]+", address)
    assert address.count("@") == 1
    assert not set(address) & set(' ,;<>"()\r\n\x00')
    assert len(address) <= LONGEST_ADDRESS
    # As Python's own mail package reads it, and taken again it is the same.
    message = EmailMessage()
    message["To"] = address
    [read] = message["To"].addresses
    assert (read.addr_spec, read.display_name) == (Address(addr_spec=address).addr_spec, "")
    assert plain(address) == address


@settings(max_examples=examples(80), deadline=None)
@given(st.lists(WRITTEN | st.none() | st.integers(0, 3), max_size=6))
def test_each_recipient_is_mailed_once_and_the_others_are_told(written: list[Any]) -> None:
    written = safe(written)
    addresses, unusable = find({"to": [{"var": "instance.people"}]}, {"instance": {"people": written}})
    assert len({address.lower() for address in addresses}) == len(addresses)
    said = [each for each in written if each is not None and (not isinstance(each, str) or each.strip())]
    taken = [address for each in said if isinstance(each, str) and (address := accepted(each))]
    assert {address.lower() for address in taken} == {address.lower() for address in addresses}
    assert len(unusable) == len(said) - len(taken)


@settings(max_examples=examples(150), deadline=None)
@given(NAMES)
def test_a_files_name_has_nothing_that_is_unseen_and_no_path(name: str) -> None:
    shown = clean_name(name)
    assert 1 <= len(shown) <= LONGEST_NAME
    assert not INVISIBLE & {unicodedata.category(character) for character in shown}
    assert not set(shown) & set("/\\\"';:<>|*?%")
    assert shown == shown.strip(" .") or len(name) > LONGEST_NAME
    assert "/" in content_type(shown)
    assert not content_type(shown).startswith(("message/", "multipart/"))
    # What of it was fit to be seen is there, in its order.
    letters = [character for character in re.split(r"[/\\]", name)[-1] if character.isalnum()]
    kept = [character for character in shown if character.isalnum()]
    assert kept == letters or len(letters) > len(kept) >= LONGEST_NAME // 2 or shown == "attachment"


@pytest.mark.parametrize(
    ("text", "constant"),
    [
        ("ada@example.com", True),
        ("{{ instance.email }}", False),
        ("{% if x %}a{% endif %}", False),
        ("{# x #}", False),
        ("{ x }", True),
    ],
)
def test_an_address_with_a_place_in_it_is_told_by_each_event(text: str, constant: bool) -> None:
    assert is_constant(text) is constant
