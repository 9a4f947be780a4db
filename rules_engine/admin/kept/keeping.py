"""A test made of what somebody looks at: what a test of the rule came to, or an event that was recorded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import MAXYEAR, MINYEAR, datetime
from typing import Any

from django.contrib.admin.models import CHANGE, LogEntry
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest
from django.utils.dateparse import parse_datetime
from django.utils.timezone import is_naive, make_aware
from django.utils.translation import gettext

from rules_engine.admin.parts.labels import OPERATION_WORDS, model_title
from rules_engine.admin.parts.objects import why_unseen
from rules_engine.context.visible import visible
from rules_engine.models import Event, Rule, RuleTest
from rules_engine.rules.expected.differences import came_words
from rules_engine.rules.expected.expectation import expectation_of
from rules_engine.rules.permissions import may_view
from rules_engine.test.kept.running import came_of
from rules_engine.test.kept.samples import sample_of

#: Of one rule; each is run whenever its page of tests is opened.
MOST_TESTS = 50
LONGEST_NAME = 200


class CannotBeKept(Exception):
    """Why there is no test to be kept, as a sentence for whoever wanted one."""


def keep_context(rule: Rule, context: Mapping[str, Any], name: str = "") -> RuleTest:
    """Keep what a test of the rule was made with, expecting what the rule does now. Raises ``CannotBeKept``."""
    header = context.get("event") or {}
    moment = _moment(str(header.get("occurred_at") or ""))
    if moment is None:
        raise CannotBeKept(gettext("The context does not say when it happened (event.occurred_at)."))
    signal, operation = str(header.get("signal") or ""), str(header.get("operation") or "")
    return _keep(rule, signal, operation, moment, sample_of(context), name)


def _moment(text: str) -> datetime | None:
    """The time that is written; one without a zone is meant in the site's. None for one that there is not."""
    try:
        moment = parse_datetime(text)
    except ValueError:
        return None
    if moment is None or not MINYEAR + 1 < moment.year < MAXYEAR - 1:
        return None
    return make_aware(moment) if is_naive(moment) else moment


def keep_event(request: HttpRequest, rule: Rule, event: Event) -> RuleTest:
    """Keep a recorded event, of which the user sees all that the rule reads. Raises ``CannotBeKept``."""
    if event.model != rule.model or event.signal not in rule.spec().signals:
        raise CannotBeKept(gettext("The rule does not listen to what this event tells of."))
    if why := why_unseen(request, event.model, event.key_here, event.context):
        raise CannotBeKept(why)
    captured = event.captured()
    context, hidden = visible(captured.context, event.model, may_view(request.user))
    if hidden:
        text = gettext("You may not view all that the event holds: %s.")
        raise CannotBeKept(text % ", ".join(hidden))
    return _keep(rule, event.signal, event.operation, event.occurred_at, sample_of(context), "")


def _keep(rule: Rule, signal: str, operation: str, moment: datetime, sample: Mapping[str, Any], name: str) -> RuleTest:
    with transaction.atomic():
        taken = set(RuleTest.objects.filter(rule=rule).values_list("name", flat=True))
        if len(taken) >= MOST_TESTS:
            text = gettext("The rule has %(count)s tests, which is as many as it can have: remove one first.")
            raise CannotBeKept(text % {"count": len(taken)})
        test = RuleTest(rule=rule, signal=signal, operation=operation, occurred_at=moment, context=dict(sample))
        test.name = _free(name.strip() or _usual_name(rule, test), taken)
        renew(rule, test)
        return test


def renew(rule: Rule, test: RuleTest) -> None:
    """Have the test expect what the rule does now, and store it. Raises ``CannotBeKept``."""
    came = came_of(rule.spec(), test.spec())
    if came.outcome in ("error", "not_recorded"):
        raise CannotBeKept(gettext("No test can be made of this: %s") % came_words(came))
    test.expected = expectation_of(came)
    store(test)


def store(test: RuleTest) -> None:
    """Store the test as it is. Raises ``CannotBeKept`` for one that cannot be."""
    try:
        test.full_clean()
    except ValidationError as error:
        raise CannotBeKept(" ".join(error.messages)) from error
    test.save()


def _usual_name(rule: Rule, test: RuleTest) -> str:
    what = OPERATION_WORDS.get(test.operation, test.signal)
    named = f"{model_title(rule.model)} {test.object_pk}".strip() if rule.model else ""
    return f"{named}: {what}" if named else str(what)


def _free(name: str, taken: set[str]) -> str:
    return next(candidate for candidate in _candidates(name) if candidate not in taken)


def _candidates(name: str) -> Iterator[str]:
    yield name[:LONGEST_NAME]
    for number in range(2, MOST_TESTS + 2):
        ending = f" ({number})"
        yield name[: LONGEST_NAME - len(ending)] + ending


def note(request: HttpRequest, rule: Rule, text: str) -> None:
    """Write what was done to the rule's tests into its history."""
    LogEntry.objects.log_actions(request.user.pk, [rule], CHANGE, text)  # type: ignore[arg-type]
