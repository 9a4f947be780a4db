"""One exception tree. The first line of each docstring says what went wrong, in words an administrator can read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a rule, at one place in it.

    ``pointer`` is an RFC 6901 JSON pointer into the rule's plain form, such as ``/condition/and/1/var`` or
    ``/actions/0/config/subject``; ``message`` is a sentence that says what was expected, what came and what to do.
    """

    pointer: str
    message: str

    def __str__(self) -> str:
        return f"{self.pointer}: {self.message}" if self.pointer else self.message

    def under(self, prefix: str) -> Problem:
        """See the problem from one level further out: ``prefix`` is put before its pointer."""
        return Problem(prefix + self.pointer, self.message)


class RulesEngineError(Exception):
    """Something in the rules engine went wrong."""


class InvalidRule(RulesEngineError):
    """A rule, or a part of one, cannot be used as it is written."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(str(problem) for problem in self.problems))


class ConditionError(RulesEngineError):
    """A condition could not be evaluated; this is never the same as "did not match"."""


class TemplateError(RulesEngineError):
    """A text template could not be compiled or rendered."""


class UnknownPath(RulesEngineError):
    """A path names a field that the model does not have, or that rules may not read."""


class Unreadable(RulesEngineError):
    """What an action reads could not be read."""


class StoredElsewhere(RulesEngineError):
    """A watched object is stored in another database than the rules, which cannot hear of it safely."""


class NotEntered(RulesEngineError):
    """The surroundings of a change, such as a tenant's schema, could not be entered again."""


class SettingsError(RulesEngineError):
    """A setting in RULES_ENGINE or WEBHOOKS has a value that cannot be used."""


class DuplicateRegistration(RulesEngineError):
    """Two pieces of code registered the same name."""


class ActionError(RulesEngineError):
    """An action did not do its work.

    ``detail`` is JSON-safe data for the attempt's record, such as what was done before it failed; the next attempt
    finds it in ``context.earlier()``.
    """

    def __init__(self, message: str = "", *, detail: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.detail = dict(detail or {})


class PermanentError(ActionError):
    """An action failed in a way that trying again cannot mend; the execution is discarded."""


class Refused(PermanentError):
    """An action was not permitted; the execution ends as refused."""


class TransientError(ActionError):
    """An action failed in a way that may pass; the execution is tried again.

    ``retry_after`` is in seconds and overrides the schedule; None leaves the schedule to decide.
    """

    def __init__(
        self, message: str, *, retry_after: float | None = None, detail: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message, detail=detail)
        self.retry_after = retry_after


class PutOff(TransientError):
    """An action has to wait for its turn; the execution waits so long, and no attempt of its schedule is used up."""


class Rejected(ValidationError):
    """A rule does not allow a save or a delete; what it says is for the person who wanted it.

    Django's forms show it like any other ``ValidationError``. ``rule_slug`` is the rule's.
    """

    def __init__(self, message: str, *, rule_slug: str = "", field: str = "") -> None:
        super().__init__({field: [ValidationError(message, code="rejected")]} if field else message, code="rejected")
        self.rule_slug = rule_slug
        self._given = (message, field)

    def __reduce__(self) -> Any:
        # As test runners and task queues take it from one process to another.
        message, field = self._given
        return partial(type(self), message, rule_slug=self.rule_slug, field=field), ()

    def __str__(self) -> str:
        return self.text

    @property
    def text(self) -> str:
        """Return what the rule says, as one text."""
        return " ".join(self.messages)


class ChangeUndone(RulesEngineError):
    """An action that belongs to a change's own transaction failed, and its rule asks that the change fail with it."""


class LeaseLost(RulesEngineError):
    """A worker tried to finish an execution whose lease had passed to another worker."""


def not_read(error: Exception) -> str:
    """Return the sentence for a rule about what it reads and could not be read.

    It names the error's type alone: its text may quote data, and some cannot even be printed.
    """
    return gettext("What it reads could not be read (%s).") % type(error).__name__


def said_by(error: Exception) -> str:
    """Return what an error says, by its type where it is none of ours or says nothing."""
    return (str(error) if isinstance(error, RulesEngineError) else "") or not_read(error)


def did_you_mean(word: object, known: Sequence[Any]) -> str:
    """Ask, after a sentence, whether a near miss was meant: ``Did you mean "total"?``. Else an empty string."""
    close = get_close_matches(str(word), [str(name) for name in known], n=1)
    return gettext(' Did you mean "%(name)s"?') % {"name": close[0]} if close else ""
