"""What an error of a mail backend says, and what that means for the one letter that it was raised for.

A service that sends by HTTP answers for each letter, by a status that the backend's error carries; what has no status
and is about the connection goes for all letters. Nothing of a backend is imported: its errors are known by what they
carry and by the names of their classes.
"""

from __future__ import annotations

import smtplib
from collections.abc import Iterator, Mapping
from json import JSONDecodeError
from typing import Any

from rules_engine.context.exceptions import text_of
from rules_engine.errors import PermanentError, TransientError

#: Answers that speak of the site's own login, which an operator will mend (RFC 4954 §6).
LOGIN = frozenset({530, 534, 535, 538})
LONGEST_ANSWER = 300
#: The service will say the same the next time: the request, the address or the letter is wrong, or too large.
FOR_GOOD = frozenset({400, 404, 406, 410, 413, 415, 422})
#: Amazon answers 400 to nearly everything; only these are about the letter.
AMAZONS_FOR_GOOD = frozenset(
    {"MessageRejected", "InvalidParameterValue", "InvalidParameter", "ValidationError", "BadRequestException"}
)
#: django-anymail's, which have no status: nobody of a letter was taken, or it cannot be written for this service.
ANYMAILS_FOR_GOOD = frozenset({"AnymailRecipientsRefused", "AnymailSerializationError"})
#: Backends that count a letter as none only where they held it back: by a receiver of ``pre_send``, by a block list.
#: Others count none of what they put into a queue.
COUNTING = frozenset({"anymail", "django_ses"})


def is_for_good(error: Exception) -> bool:
    """Say whether another try of this letter will end the same."""
    if isinstance(error, ValueError):
        # A header or an address that cannot be written. An answer that could not be read is no such error.
        return not isinstance(error, OSError | JSONDecodeError)
    if any(base.__name__ in ANYMAILS_FOR_GOOD for base in type(error).__mro__):
        return True
    answers = list(_answers(error))
    return bool(answers) and all(status in FOR_GOOD and _amazon(response) for status, response in answers)


def is_for_all(error: Exception) -> bool:
    """Say whether the error is about the connection, so that there is no use in trying the next letter."""
    if isinstance(error, smtplib.SMTPException):
        return True
    return isinstance(error, OSError) and not list(_answers(error))


def counts_held_back(mailer: Any) -> bool:
    """Say whether the backend, where it counts none and raises nothing, did not send."""
    packages = {base.__module__.partition(".")[0] for base in type(mailer).__mro__}
    return not COUNTING.isdisjoint(packages)


def _answers(error: BaseException) -> Iterator[tuple[int, Any]]:
    """Yield the status and the answer that an error carries, and those of the error that it was made of."""
    for carrying in (error, error.__cause__):
        response = getattr(carrying, "response", None)
        status = getattr(carrying, "status_code", None)
        if status is None and isinstance(response, Mapping):
            status = (response.get("ResponseMetadata") or {}).get("HTTPStatusCode")
        elif status is None:
            status = getattr(response, "status_code", None)
        if isinstance(status, int):
            yield status, response


def _amazon(response: Any) -> bool:
    return not isinstance(response, Mapping) or (response.get("Error") or {}).get("Code") in AMAZONS_FOR_GOOD


def words_of(error: Exception) -> str:
    """Return what an error says, or its class: the text of a backend's own may raise in its turn."""
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{error.smtp_code} {answer_text(error.smtp_error)}"
    return answer_text(text_of(error)) or type(error).__name__


def by_code(error: smtplib.SMTPResponseException) -> PermanentError | TransientError:
    """Return the error of an answer that speaks of the site: for good with a code of 500 and more."""
    sentence = f"The mail server answered: {error.smtp_code} {answer_text(error.smtp_error)}"
    for_good = error.smtp_code >= 500 and error.smtp_code not in LOGIN
    return PermanentError(sentence) if for_good else TransientError(sentence)


def answer_text(answer: object) -> str:
    """Return a server's answer in one line."""
    text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else str(answer)
    return " ".join(text.split())[:LONGEST_ANSWER]
