"""A worker acts by rules that are at least as new as those that its work was matched by."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext

from project.clinic.models import Doctor
from project.shop.models import Category, Tag
from rules_engine import sending
from rules_engine.live import cache
from rules_engine.models import Event, Execution, Rule, RuleSetVersion
from rules_engine.outbox.releasing import release_due
from rules_engine.testing import create_rule
from rules_engine.work.run import drain
from tests.factories import make_doctor

pytestmark = pytest.mark.django_db(transaction=True)

SIGNAL = "clinic.doctor_went_on_vacation"
TAG = ("create_object", {"model": "shop.tag", "values": [{"field": "name", "value": "first"}]})
CATEGORY = ("create_object", {"model": "shop.category", "values": [{"field": "name", "value": "second"}]})
SEND = ("send_signal", {"signal": SIGNAL, "with_object": True})


def forget(older: cache.RuleSet) -> None:
    """Be a worker that has not looked at the rules since."""
    cache.install(older)


@pytest.mark.parametrize(
    ("second", "action", "held"),
    [
        ({"model": Tag}, TAG, {}),
        ({"model": Tag}, TAG, {"throttle_count": 5, "throttle_seconds": 60}),
        ({"model": "", "signals": [SIGNAL]}, SEND, {}),
        ({"model": Doctor, "signals": [SIGNAL]}, SEND, {"once": True}),
    ],
)
def test_what_an_action_does_is_tried_on_the_rules_that_matched_it(
    second: dict[str, Any], action: Any, held: dict[str, Any]
) -> None:
    older = cache.current()
    create_rule(Doctor, slug="first", actions=[action], **held)
    create_rule(slug="second", actions=[CATEGORY], **second)
    make_doctor()
    forget(older)
    release_due()
    drain("rules", seconds=10)
    assert Category.objects.filter(name="second").exists()


def test_a_batch_sender_works_by_the_newer_rules_as_well() -> None:
    older = cache.current()
    create_rule(Doctor, slug="first", actions=[TAG])
    make_doctor()
    forget(older)
    assert len(sending.may_run(sending.claim("rules"))) == 1
    assert cache.current().find("first") is not None


def test_a_retry_and_a_replay_work_by_the_newer_rules_as_well() -> None:
    older = cache.current()
    create_rule(Doctor, slug="first", actions=[TAG])
    create_rule(Tag, slug="second", actions=[CATEGORY])
    make_doctor()
    drain("rules", seconds=10)
    Category.objects.all().delete()
    Tag.objects.all().delete()
    forget(older)
    Execution.objects.filter(rule_slug="first").replay()
    drain("rules", seconds=10)
    assert Category.objects.filter(name="second").exists()


def test_work_of_rules_that_are_known_asks_the_database_nothing_more() -> None:
    create_rule(Doctor, slug="first", actions=[TAG])
    make_doctor()
    create_rule(Doctor, slug="later", enabled=False)
    claim = sending.claim("rules")
    with CaptureQueriesContext(connection) as captured:
        sending.may_run(claim)
    assert not [query for query in captured if RuleSetVersion._meta.db_table in query["sql"]]


def test_an_event_says_which_rules_it_was_matched_by() -> None:
    create_rule(Doctor, slug="first", actions=[TAG])
    make_doctor()
    assert Event.objects.get().rule_set == cache.current().number == RuleSetVersion.current()


def test_work_is_given_back_where_the_newer_rules_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    older = cache.current()
    create_rule(Doctor, slug="first", actions=[TAG])
    make_doctor()
    forget(older)

    def refuse(*_: Any, **__: Any) -> None:
        raise DatabaseError("no")

    with monkeypatch.context() as patch:
        patch.setattr(cache, "load", refuse)
        with pytest.raises(DatabaseError):
            drain("rules", seconds=10)
    execution = Execution.objects.get()
    assert (execution.state, execution.attempts, execution.leased_by) == ("pending", 0, "")
    assert drain("rules", seconds=10) == 1
    assert Rule.objects.count() == 1
