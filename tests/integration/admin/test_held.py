"""Matches that wait, as administrators see, release and discard them."""

from __future__ import annotations

from collections.abc import Callable
from html import unescape

import pytest
from django.contrib.admin.models import LogEntry
from django.core import mail
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from project.shop.models import Order
from rules_engine.models import Execution, HeldMatch, Pause, Rule
from rules_engine.testing import create_rule, run_due

pytestmark = pytest.mark.django_db(transaction=True)

LIST = reverse("admin:rules_engine_heldmatch_changelist")
MAIL = {"to": ["a@example.com"], "subject": "{{ instance.order_number }}", "body": "{{ held.count }}"}
VIEW = "rules_engine.view_heldmatch"
RELEASE = "rules_engine.release_heldmatch"


def url(match: HeldMatch, verb: str = "change") -> str:
    return reverse(f"admin:rules_engine_heldmatch_{verb}", args=[match.pk])


@pytest.fixture
def waiting() -> HeldMatch:
    """A match that waits for an hour."""
    create_rule(model=Order, slug="mailing", actions=[("send_email", MAIL)], coalesce_seconds=3600, debounce=True)
    Order.objects.create(order_number="A-1")
    return HeldMatch.objects.get()


def test_the_list_says_what_waits_and_why(admin_client: Client, waiting: HeldMatch) -> None:
    page = unescape(admin_client.get(LIST).content.decode())
    assert "mailing" in page
    assert "Order A-1" in page
    assert "it acts when nothing more has come for 1 hour" in page
    empty = admin_client.get(LIST, {"state__exact": "released"}).content.decode()
    assert "0 held matches" in empty
    assert "1 held match" in admin_client.get(LIST, {"rule_slug": "mailing"}).content.decode()


def test_a_match_that_is_released_acts_at_once(admin_client: Client, waiting: HeldMatch) -> None:
    assert run_due() == 0
    assert "Release now" in admin_client.get(url(waiting)).content.decode()
    assert admin_client.post(url(waiting, "release")).status_code == 302
    run_due()
    assert [message.subject for message in mail.outbox] == ["A-1"]
    waiting.refresh_from_db()
    assert (waiting.state, waiting.reason) == ("released", "Released by root.")
    assert LogEntry.objects.get(object_id=str(waiting.pk)).change_message == "Released by root."
    page = admin_client.get(url(waiting)).content.decode()
    assert "Release now" not in page
    # Once more does nothing more.
    admin_client.post(url(waiting, "release"))
    assert Execution.objects.count() == 1


def test_a_match_that_is_discarded_never_acts(admin_client: Client, waiting: HeldMatch) -> None:
    chosen = {"action": "discard_selected", "_selected_action": [str(waiting.pk)]}
    page = admin_client.post(LIST, chosen, follow=True).content.decode()
    assert "1 match was discarded." in page
    waiting.refresh_from_db()
    assert (waiting.state, waiting.reason) == ("dropped", "Discarded by root.")
    assert LogEntry.objects.filter(object_id=str(waiting.pk)).count() == 1
    HeldMatch.objects.update(due_at=waiting.created_at)
    run_due()
    assert mail.outbox == []


@pytest.mark.parametrize("verb", ["release", "discard"])
def test_matches_of_many_rules_take_no_more_queries_than_those_of_few(admin_client: Client, verb: str) -> None:
    def decide(name: str) -> int:
        Order.objects.create(order_number=name)
        waiting = HeldMatch.objects.filter(state="waiting").values_list("pk", flat=True)
        chosen = {"action": f"{verb}_selected", "_selected_action": [str(pk) for pk in waiting]}
        with CaptureQueriesContext(connection) as taken:
            assert admin_client.post(LIST, chosen).status_code == 302
        return len(taken)

    create_rule(model=Order, slug="first", actions=[("send_email", MAIL)], coalesce_seconds=3600)
    create_rule(model=Order, slug="off", actions=[("send_email", MAIL)], coalesce_seconds=3600)
    few = decide("A-1")
    for number in range(9):
        create_rule(model=Order, slug=f"more-{number}", actions=[("send_email", MAIL)], coalesce_seconds=3600)
    Order.objects.create(order_number="A-2")
    Rule.objects.get(slug="off").delete()
    assert decide("A-3") <= few
    run_due()
    # Of the rule that is no more nothing acts, what was released before it went included.
    sent = sorted(message.subject for message in mail.outbox)
    became = list(Execution.objects.values_list("rule_slug", "state", "error", "leased_by"))
    assert sent == (["A-1"] + ["A-2"] * 10 + ["A-3"] * 10 if verb == "release" else []), became
    assert HeldMatch.objects.filter(state="waiting").count() == (1 if verb == "release" else 0)


def test_matches_of_a_rule_that_is_off_are_not_released(admin_client: Client, waiting: HeldMatch) -> None:
    Rule.objects.get().delete()
    chosen = {"action": "release_selected", "_selected_action": [str(waiting.pk)]}
    page = admin_client.post(LIST, chosen, follow=True).content.decode()
    assert "Nothing was changed" in page
    waiting.refresh_from_db()
    assert waiting.state == "waiting"


def test_what_is_released_while_its_rule_is_paused_acts_when_that_ends(
    admin_client: Client, waiting: HeldMatch
) -> None:
    pause = Pause.objects.create()
    admin_client.post(url(waiting, "release"))
    run_due()
    assert mail.outbox == []
    pause.delete()
    run_due()
    assert len(mail.outbox) == 1


def test_whoever_may_only_view_sees_and_cannot_decide(staff: Callable[..., Client], waiting: HeldMatch) -> None:
    client = staff(VIEW)
    page = client.get(url(waiting)).content.decode()
    assert "Release now" not in page
    assert "release_selected" not in client.get(LIST).content.decode()
    assert "You may not view objects of this model" in page
    for verb in ("release", "discard"):
        assert client.post(url(waiting, verb)).status_code == 403
        client.post(LIST, {"action": f"{verb}_selected", "_selected_action": [str(waiting.pk)]})
    waiting.refresh_from_db()
    assert waiting.state == "waiting"


def test_the_permission_to_release_is_enough_to_do_it(staff: Callable[..., Client], waiting: HeldMatch) -> None:
    client = staff(VIEW, RELEASE)
    assert client.get(url(waiting, "release")).status_code == 405
    assert client.post(url(waiting, "release")).status_code == 302
    waiting.refresh_from_db()
    assert waiting.state == "released"
    assert client.post(url(waiting), {"state": "waiting"}).status_code == 403
