"""Which request the signals of requests are about."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import RequestFactory

from rules_engine.context.requests import KEY, describe, describe_start, finished, listen, until_finished


@pytest.fixture
def listening() -> Iterator[None]:
    """Some rule listens to ``request_finished``."""
    listen({"request_finished"})
    yield
    listen(())
    finished()


def request(path: str = "/orders/") -> Any:
    return RequestFactory().post(path)


def test_a_request_is_told_by_id_method_and_path():
    told = describe(request())
    assert (told["method"], told["path"]) == ("POST", "/orders/")
    assert told["id"] != describe(request())["id"]


@pytest.mark.parametrize(
    "sent",
    [
        {"environ": {"REQUEST_METHOD": "get", "SCRIPT_NAME": "/shop", "PATH_INFO": "/orders/"}},
        {"scope": {"type": "http", "method": "get", "path": "/shop/orders/"}},
    ],
)
def test_a_server_says_which_request_begins_and_its_id_stays(sent: dict[str, dict[str, Any]]):
    told = describe_start(sent)
    assert told is not None
    assert (told["method"], told["path"]) == ("GET", "/shop/orders/")
    [carrier] = sent.values()
    assert carrier[KEY] == told["id"]


def test_a_later_signal_of_the_request_has_the_id_of_its_first():
    later = request()
    told = describe_start({"environ": later.environ})
    assert told is not None
    assert describe(later)["id"] == told["id"]


def test_a_server_that_says_nothing_names_no_request():
    assert describe_start({}) is None
    assert describe_start({"environ": None, "scope": "odd"}) is None


def test_odd_paths_are_cut_and_cleaned():
    told = describe_start({"scope": {"method": "x" * 100, "path": "/\x00" + "y" * 2_000}})
    assert told is not None
    assert len(told["method"]) <= 21
    assert told["path"].startswith("/\ufffdyyy")
    assert len(told["path"]) <= 1_001


def test_a_request_is_remembered_when_it_is_closed_and_told_once(listening: None):
    closed = request()
    visit = until_finished(closed, describe(closed))
    assert finished() is None
    closed.close()
    assert finished() is visit
    assert finished() is None


def test_a_request_whose_closing_fails_is_remembered_too(listening: None):
    def fail() -> None:
        raise LookupError

    broken = request()
    broken.close = fail
    visit = until_finished(broken, describe(broken))
    with pytest.raises(LookupError):
        broken.close()
    assert finished() is visit


def test_while_no_rule_listens_nothing_is_remembered():
    plain = request()
    assert until_finished(plain, describe(plain)) is None
    plain.close()
    assert finished() is None


def test_what_remembers_a_request_stays_in_its_process(listening: None):
    kept = request()
    until_finished(kept, describe(kept))
    assert pickle.loads(pickle.dumps(kept.close))() is None
    assert finished() is None
