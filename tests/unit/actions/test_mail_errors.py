"""What the error of a mail backend means for one letter and for the next ones, and what is said of it."""

from __future__ import annotations

import smtplib
from json import JSONDecodeError
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules_engine.actions.mail.verdicts import (
    FOR_GOOD,
    LOGIN,
    LONGEST_ANSWER,
    answer_text,
    by_code,
    counts_held_back,
    is_for_all,
    is_for_good,
    words_of,
)
from rules_engine.errors import PermanentError, TransientError
from tests.examples import examples


class Answer:
    def __init__(self, status_code: Any) -> None:
        self.status_code = status_code


class ServiceError(Exception):
    """As backends have them that send by HTTP: with a status, with the answer, or with Amazon's."""

    def __init__(self, text: str = "", **carried: Any) -> None:
        super().__init__(text)
        vars(self).update(carried)


class AnymailRecipientsRefused(ServiceError):
    pass


class OwnRefusal(AnymailRecipientsRefused):
    pass


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


class ConnectionOfRequests(OSError):
    """As requests has them: errors of the operating system, also where the service has answered."""

    def __init__(self, response: Any = None) -> None:
        super().__init__("requests")
        self.response = response


def amazon(code: str | None, status: int = 400) -> ServiceError:
    said = {} if code is None else {"Error": {"Code": code}}
    return ServiceError(response={"ResponseMetadata": {"HTTPStatusCode": status}, **said})


def made_of(cause: Exception) -> Exception:
    error = ServiceError("the backend's own")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        ValueError("Header values can't contain newlines"),
        UnicodeError("no such address"),
        OwnRefusal(),
        *(ServiceError(status_code=status) for status in (400, 404, 406, 410, 413, 415, 422)),
        ServiceError(response=Answer(422)),
        ConnectionOfRequests(Answer(400)),
        made_of(ServiceError(status_code=413)),
        *(amazon(code) for code in ("MessageRejected", "InvalidParameterValue", "ValidationError")),
        amazon("BadRequestException"),
        amazon("InvalidParameter"),
    ],
    ids=repr,
)
def test_a_letter_that_is_wrong_is_not_tried_again(error: Exception) -> None:
    assert is_for_good(error)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("anything else"),
        # An answer that could not be read says nothing of the letter.
        JSONDecodeError("Expecting value", "<html>", 0),
        *(ServiceError(status_code=status) for status in (401, 403, 408, 409, 429, 500, 503)),
        ServiceError(status_code="400"),
        ServiceError(status_code=None, response=None),
        ConnectionOfRequests(),
        ConnectionOfRequests(Answer(503)),
        made_of(ServiceError(status_code=503)),
        made_of(amazon("Throttling")),
        amazon("Throttling"),
        amazon("AccessDenied"),
        amazon(None),
        amazon("MessageRejected", status=500),
        ServiceError(response={}),
        ServiceError(response={"ResponseMetadata": None}),
    ],
    ids=repr,
)
def test_what_may_pass_is_tried_again(error: Exception) -> None:
    assert not is_for_good(error)


def test_an_error_is_for_good_only_where_all_that_it_carries_is() -> None:
    error = ServiceError(status_code=400)
    error.__cause__ = ServiceError(status_code=503)
    assert not is_for_good(error)
    error.__cause__ = ServiceError(status_code=422)
    assert is_for_good(error)


@pytest.mark.parametrize(
    ("error", "for_all"),
    [
        (smtplib.SMTPServerDisconnected("gone"), True),
        (smtplib.SMTPResponseException(421, b"too many"), True),
        (ConnectionRefusedError(), True),
        (TimeoutError(), True),
        (ConnectionOfRequests(), True),
        (ConnectionOfRequests(Answer(503)), False),
        # What is no status is no answer.
        (ConnectionOfRequests(Answer("503")), True),
        (ServiceError(status_code=503), False),
        (ValueError("a header"), False),
    ],
    ids=repr,
)
def test_without_a_connection_the_next_letters_are_not_tried(error: Exception, for_all: bool) -> None:
    assert is_for_all(error) is for_all


def backend(module: str, base: type = object) -> Any:
    return type("Backend", (base,), {"__module__": module})()


@pytest.mark.parametrize(
    ("mailer", "counts"),
    [
        (backend("anymail.backends.mailgun"), True),
        (backend("django_ses"), True),
        (backend("shop.mail", type(backend("anymail.backends.base"))), True),
        (backend("anymail_of_ours.backends"), False),
        (backend("shop.anymail"), False),
        (backend("django.core.mail.backends.smtp"), False),
    ],
)
def test_a_backend_that_counts_none_of_what_it_queues_has_sent(mailer: Any, counts: bool) -> None:
    assert counts_held_back(mailer) is counts


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (smtplib.SMTPResponseException(550, b"5.1.1  No such\r\n user"), "550 5.1.1 No such user"),
        (smtplib.SMTPResponseException(550, "in words"), "550 in words"),
        (smtplib.SMTPResponseException(550, b"\xff\xfe"), "550 \ufffd\ufffd"),
        (ServiceError("  the\n quota  is used up "), "the quota is used up"),
        (ServiceError(""), "ServiceError"),
        (ServiceError(" \n "), "ServiceError"),
    ],
    ids=repr,
)
def test_an_errors_words_are_in_one_line(error: Exception, words: str) -> None:
    assert words_of(error) == words


def test_an_error_without_words_is_told_all_the_same() -> None:
    assert "Unspeakable" in words_of(Unspeakable())


@pytest.mark.parametrize(("code", "kind"), [(421, "try"), (450, "try"), (499, "try"), (500, "end"), (554, "end")])
def test_an_answer_of_500_and_more_is_for_good(code: int, kind: str) -> None:
    error = by_code(smtplib.SMTPResponseException(code, b"because\r\nof it"))
    assert type(error) is {"try": TransientError, "end": PermanentError}[kind]
    assert str(error) == f"The mail server answered: {code} because of it"


@pytest.mark.parametrize("code", sorted(LOGIN))
def test_a_login_that_an_operator_will_mend_is_tried_again(code: int) -> None:
    assert isinstance(by_code(smtplib.SMTPResponseException(code, b"no")), TransientError)


@settings(max_examples=examples(50), deadline=None)
@given(st.binary() | st.text() | st.integers() | st.binary(min_size=LONGEST_ANSWER + 1, max_size=400))
def test_any_answer_is_one_short_line(answer: object) -> None:
    text = answer_text(answer)
    assert len(text) <= LONGEST_ANSWER
    assert text.splitlines() in ([], [text])
    assert text == " ".join(text.split()) or len(text) == LONGEST_ANSWER


@settings(max_examples=examples(50), deadline=None)
@given(st.integers(100, 599))
def test_a_status_means_the_same_wherever_the_error_carries_it(status: int) -> None:
    carriers = [ServiceError(status_code=status), ServiceError(response=Answer(status))]
    carriers += [amazon("MessageRejected", status)]
    assert {is_for_good(error) for error in [*carriers, *map(made_of, carriers)]} == {status in FOR_GOOD}
