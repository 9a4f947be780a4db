"""No line of the log can be forged, and none steers a terminal, whatever data and exceptions say."""

from __future__ import annotations

import ast
import io
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from project.clinic.models import Doctor
from project.clinic.signals import appointment_cancelled
from rules_engine.logs.one_line import OneLine
from rules_engine.testing import create_rule, run_due
from tests.factories import make_doctor
from tests.test_architecture import modules, shipped, tree
from webhooks.receiver import webhook

FORGED = "x\r\n2031-01-01 ERROR forged\x1b[31m\u2028end"
TOLD = "x\\r\\n2031-01-01 ERROR forged\\x1b[31m\\u2028end"
#: Where our lines go, and where Django says what receivers raise to whom we send a signal.
LOGGERS = ("rules_engine", "rules_engine.messages", "rules_engine.outcomes", "webhooks", "django.dispatch")


@pytest.fixture(params=["%(message)s", "%(asctime)s %(levelname)s %(name)s: %(message)s"])
def log(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(logging.Formatter(request.param))
    loggers = [logging.getLogger(name) for name in ("rules_engine", "webhooks", "django.dispatch")]
    for logger in loggers:
        logger.addHandler(handler)
    yield written
    for logger in loggers:
        logger.removeHandler(handler)


def assert_unforged(written: io.StringIO) -> None:
    text = written.getvalue()
    assert TOLD in text
    assert not {"\r", "\x1b", "\u2028"} & set(text)
    assert not [line for line in text.split("\n") if line.startswith("2031-01-01")]


def test_every_logger_of_ours_keeps_to_one_line():
    named = {
        node.args[0].value if isinstance(node.args[0], ast.Constant) else name
        for name in shipped()
        if "get_task_logger" in (source := modules()[name].read_text()) or "getLogger" in source
        for node in ast.walk(tree(modules()[name]))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"logging.getLogger", "get_task_logger"}
    }
    assert named == set(LOGGERS)
    for name in LOGGERS:
        assert any(isinstance(kept, OneLine) for kept in logging.getLogger(name).filters)


@pytest.mark.parametrize("name", LOGGERS)
def test_values_of_every_type_are_told_in_one_line(log: io.StringIO, name: str):
    class Odd:
        def __str__(self) -> str:
            return FORGED

    logger = logging.getLogger(name)
    for value in (FORGED, Odd(), ValueError(FORGED)):
        logger.error("%s, %d and %.1f", value, 7, 0.5)
    logger.error("%(name)s", {"name": FORGED})
    logger.error(FORGED)
    assert_unforged(log)
    assert log.getvalue().count("\n") == 5
    assert f"{TOLD}, 7 and 0.5" in log.getvalue()


def test_a_traceback_keeps_its_lines_and_each_exception_has_one(log: io.StringIO):
    def fail() -> None:
        try:
            raise KeyError("first\x1b")
        except KeyError as error:
            error.add_note(FORGED)
            raise ExceptionGroup(FORGED, [ValueError(FORGED), OSError(FORGED)]) from error

    try:
        fail()
    except ExceptionGroup:
        logging.getLogger("rules_engine").exception("It failed.")
    assert_unforged(log)
    lines = log.getvalue().split("\n")
    assert lines.count("Traceback (most recent call last):") == 2
    assert "The above exception was the direct cause of the following exception:" in lines
    assert f"  | ValueError: {TOLD}" in lines
    assert any("in fail" in line for line in lines)


def test_an_exception_that_cannot_be_printed_is_logged_all_the_same(log: io.StringIO):
    class Unprintable(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    try:
        raise Unprintable
    except Unprintable:
        logging.getLogger("rules_engine").exception("It failed.")
    assert "Unprintable" in log.getvalue()


@pytest.mark.django_db(transaction=True)
def test_an_action_that_fails_in_words_of_data_forges_no_line(log: io.StringIO):
    def fail(**sent: Any) -> None:
        raise ValueError(sent["reason"])

    config = {
        "signal": "clinic.appointment_cancelled",
        "arguments": [{"name": "reason", "value": "{{ instance.biography }}"}],
    }
    create_rule(Doctor, slug="loud", actions=[("send_signal", config)])
    appointment_cancelled.connect(fail)
    try:
        make_doctor(biography=FORGED)
        run_due()
    finally:
        appointment_cancelled.disconnect(fail)
    assert_unforged(log)
    assert "Traceback" in log.getvalue()


@pytest.mark.django_db
def test_a_refused_webhook_forges_no_line(log: io.StringIO):
    def taken(request: HttpRequest) -> HttpResponse:
        return HttpResponse()

    taken.__qualname__ = FORGED
    view = webhook("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")(taken)
    headers = {f"HTTP_WEBHOOK_{name}": FORGED for name in ("ID", "TIMESTAMP", "SIGNATURE")}
    answer = view(RequestFactory().post("/hook", b"{}", content_type="application/json", **headers))
    assert answer.status_code == 401
    assert_unforged(log)
