"""What arrived at the demo: kept for the page, the latest of it, and waited for."""

from __future__ import annotations

import threading
from datetime import datetime

import pytest

from project.demo.arrivals import KEPT, Arrivals
from project.demo.servers.receiver import _slug, _subject, url_of


def test_arrivals_are_numbered_in_order() -> None:
    arrivals = Arrivals()
    arrivals.add("mail", "Welcome", "To ann@example.org")
    arrivals.add("webhook", "<b>", good=False)
    first, second = arrivals.after(0)
    assert (first.number, first.kind, first.title, first.text, first.good) == (
        1,
        "mail",
        "Welcome",
        "To ann@example.org",
        True,
    )
    assert (second.number, second.title, second.text, second.good) == (2, "<b>", "", False)
    assert datetime.fromisoformat(first.at) <= datetime.fromisoformat(second.at)


@pytest.mark.parametrize(
    ("number", "titles"), [(0, ["a", "b", "c"]), (1, ["b", "c"]), (3, []), (99, []), (-1, ["a", "b", "c"])]
)
def test_only_what_came_after_is_given(number: int, titles: list[str]) -> None:
    arrivals = Arrivals()
    for title in "abc":
        arrivals.add("log", title)
    assert [arrival.title for arrival in arrivals.after(number)] == titles


def test_the_oldest_is_forgotten_and_numbers_go_on() -> None:
    arrivals = Arrivals()
    for number in range(KEPT + 5):
        arrivals.add("log", str(number))
    kept = arrivals.after(0)
    assert len(kept) == KEPT
    assert (kept[0].number, kept[-1].number) == (6, KEPT + 5)


def test_what_is_here_already_is_not_waited_for() -> None:
    assert Arrivals().wait_until(lambda: True, 0)
    assert not Arrivals().wait_until(lambda: False, 0)


def test_whoever_waits_is_told_when_it_arrives() -> None:
    arrivals = Arrivals()
    adding = threading.Thread(target=arrivals.add, args=("mail", "here"))
    adding.start()
    assert arrivals.wait_until(lambda: bool(arrivals.after(0)), 30)
    adding.join()


@pytest.mark.parametrize(
    ("path", "slug"),
    [
        ("/hook", "demo"),
        ("/hook/erp", "erp"),
        ("/hook/", ""),
        ("/hooks", ""),
        ("/", ""),
        ("", ""),
        ("/other/hook", ""),
    ],
)
def test_a_path_says_whose_receiver_is_asked_for(path: str, slug: str) -> None:
    assert _slug(path) == slug


def test_the_receivers_address_leads_back_to_its_slug() -> None:
    assert url_of(8003) == "http://127.0.0.1:8003/hook"
    assert url_of(8003, "erp") == "http://127.0.0.1:8003/hook/erp"
    for slug in ("demo", "erp", "a-b"):
        assert _slug(url_of(8003, slug).removeprefix("http://127.0.0.1:8003")) == slug


@pytest.mark.parametrize(
    ("body", "subject"),
    [
        (b'{"type": "shop.order.update", "data": {"event": {"pk": "5"}}}', "shop.order.update 5"),
        (b'{"type": "<b>", "data": {"event": {"pk": null}}}', "<b> None"),
        (b"", "0 bytes"),
        (b"{", "1 bytes"),
        (b"[]", "2 bytes"),
        (b"null", "4 bytes"),
        (b'{"type": "x"}', "13 bytes"),
        (b'{"type": "x", "data": []}', "25 bytes"),
        (b"\xff\xfe\x00", "3 bytes"),
    ],
)
def test_any_body_has_a_subject(body: bytes, subject: str) -> None:
    assert _subject(body) == subject
