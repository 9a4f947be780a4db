"""Reading what rules did, and retrying or cancelling it."""

from __future__ import annotations

from collections.abc import Callable
from html import unescape
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.admin.models import LogEntry
from django.core import mail
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from project.shop.models import Order
from rules_engine.admin.parts import bulk
from rules_engine.models import Event, Execution
from rules_engine.models.execution import ExecutionQuerySet, State
from rules_engine.outbox import hints
from rules_engine.testing import create_rule, run_due

pytestmark = pytest.mark.django_db(transaction=True)

HOSTILE = "<script>alert(1)</script>"
LIST = "admin:rules_engine_execution_changelist"
VIEW = ("rules_engine.view_execution", "rules_engine.view_event")


def page_of(execution: Execution) -> str:
    return reverse("admin:rules_engine_execution_change", args=[execution.pk])


def verb_url(verb: str, execution: Execution) -> str:
    return reverse(f"admin:rules_engine_execution_{verb}", args=[execution.pk])


@pytest.fixture
def hinted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The queues that workers were told of."""
    queues: list[str] = []
    monkeypatch.setattr(hints, "notify", queues.append)
    return queues


@pytest.fixture
def mailing() -> Execution:
    """An execution that waits."""
    config = {"to": ["a@example.com"], "subject": "{{ instance.order_number }}", "body": HOSTILE}
    create_rule(model=Order, slug="mailing", name="Mailing", actions=[("send_email", config)])
    Order.objects.create(order_number=f"A-1 {HOSTILE}"[:32])
    return Execution.objects.get()


@pytest.fixture
def failed(mailing: Execution) -> Execution:
    """One that has failed for good: its recipient is no address."""
    mailing.config = {"to": ["nobody"], "subject": "x", "body": "x"}
    mailing.save()
    run_due()
    mailing.refresh_from_db()
    assert mailing.state == State.DISCARDED
    return mailing


def test_an_execution_is_found_and_explains_itself(admin_client: Client, failed: Execution) -> None:
    for search in ("mailing", failed.event.object_pk, str(failed.pk)):
        assert page_of(failed) in admin_client.get(reverse(LIST), {"q": search}).content.decode()
    assert page_of(failed) in admin_client.get(reverse(LIST), {"rule_slug": "mailing"}).content.decode()
    assert page_of(failed) not in admin_client.get(reverse(LIST), {"rule_slug": "gone"}).content.decode()
    by_event = {"event__id__exact": str(failed.event_id)}
    assert page_of(failed) in admin_client.get(reverse(LIST), by_event).content.decode()
    page = admin_client.get(page_of(failed)).content.decode()
    assert "PermanentError: A recipient is not one" in page
    assert "&quot;nobody&quot;" in page
    assert reverse("admin:rules_engine_event_change", args=[failed.event_id]) in page
    assert reverse("admin:shop_order_change", args=[failed.event.object_pk]) in page
    assert HOSTILE not in page
    assert '<input type="text"' not in page


@pytest.mark.parametrize("by_button", [True, False])
def test_a_failed_execution_is_retried(
    admin_client: Client, failed: Execution, hinted: list[str], by_button: bool
) -> None:
    Execution.objects.update(config={"to": ["a@example.com"], "subject": "x", "body": "x"})
    if by_button:
        assert verb_url("retry", failed) in admin_client.get(page_of(failed)).content.decode()
        response = admin_client.post(verb_url("retry", failed))
        assert response.url == page_of(failed)
    else:
        admin_client.post(reverse(LIST), {"action": "retry_selected", "_selected_action": [str(failed.pk)]})
    assert hinted == ["rules"]
    assert LogEntry.objects.get().object_id == str(failed.pk)
    assert run_due() == 1
    assert len(mail.outbox) == 1


@pytest.mark.parametrize("by_button", [True, False])
def test_a_waiting_execution_is_cancelled(admin_client: Client, mailing: Execution, by_button: bool) -> None:
    if by_button:
        admin_client.post(verb_url("cancel", mailing))
    else:
        admin_client.post(reverse(LIST), {"action": "cancel_selected", "_selected_action": [str(mailing.pk)]})
    assert run_due() == 0
    mailing.refresh_from_db()
    assert (mailing.state, mailing.error) == (State.CANCELLED, "Cancelled by root.")
    assert LogEntry.objects.get().change_message == "Cancelled."


def test_what_has_succeeded_is_neither_retried_nor_cancelled(admin_client: Client, mailing: Execution) -> None:
    run_due()
    for verb in ("retry", "cancel"):
        assert verb_url(verb, mailing) not in admin_client.get(page_of(mailing)).content.decode()
        page = admin_client.post(verb_url(verb, mailing), follow=True).content.decode()
        assert "Nothing was changed" in page
    assert run_due() == 0
    assert not LogEntry.objects.exists()


@pytest.fixture
def discarded(mailing: Execution, monkeypatch: pytest.MonkeyPatch) -> list[Execution]:
    """Seven that have failed for good, more than fit into one batch."""
    monkeypatch.setattr(bulk, "BATCH", 3)
    for number in range(6):
        Order.objects.create(order_number=f"more-{number}")
    Execution.objects.update(state=State.DISCARDED)
    return list(Execution.objects.order_by("pk"))


def retry_all(client: Client, first: Execution, **asked: str) -> str:
    """The action, for all that the list has, and the page after it."""
    data = {"action": "retry_selected", "_selected_action": [str(first.pk)], "select_across": "1"}
    response = client.post(reverse(LIST, query=asked or None), data, follow=True)
    return unescape(response.content.decode())


def test_many_are_retried_batch_by_batch_with_one_record(
    admin_client: Client, discarded: list[Execution], hinted: list[str]
) -> None:
    Execution.objects.filter(pk=discarded[3].pk).update(state=State.SUCCEEDED)
    with CaptureQueriesContext(connection) as taken:
        assert "6 executions are due again." in retry_all(admin_client, discarded[0])
    assert sum(one["sql"].startswith("UPDATE") and "next_attempt_at" in one["sql"] for one in taken) == 3
    assert set(hinted) == {"rules"}
    entry = LogEntry.objects.get()
    assert (entry.object_repr, entry.change_message, entry.user.get_username()) == ("6 executions", "Retried.", "root")
    assert run_due() == 6


def test_an_interrupted_retry_keeps_what_was_done_and_can_be_done_again(
    admin_client: Client, discarded: list[Execution], hinted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = iter([True, False])
    retry = ExecutionQuerySet.retry

    def dies(rows: ExecutionQuerySet) -> int:
        count = retry(rows)
        if not next(calls):
            raise SystemExit
        return count

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(ExecutionQuerySet, "retry", dies)
        retry_all(admin_client, discarded[0])
    assert Execution.objects.filter(state=State.RETRYABLE).count() == 3
    assert LogEntry.objects.get().object_repr == "3 executions"
    assert hinted == ["rules"]
    assert "4 executions are due again." in retry_all(admin_client, discarded[0], state__exact=State.DISCARDED)
    assert run_due() == 7


def test_a_retry_that_takes_too_long_ends_and_says_that_some_are_left(
    admin_client: Client, discarded: list[Execution], hinted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "SECONDS", -1.0)
    page = retry_all(admin_client, discarded[0])
    assert "0 executions are due again. There was no time for all of them: do it again for the rest." in page
    assert not LogEntry.objects.exists()


def test_retrying_takes_its_own_permission_and_a_post(
    staff: Callable[..., Client], failed: Execution, hinted: list[str]
) -> None:
    client = staff(*VIEW, "shop.view_order")
    assert verb_url("retry", failed) not in client.get(page_of(failed)).content.decode()
    assert client.get(verb_url("retry", failed)).status_code == 405
    for verb in ("retry", "cancel"):
        assert client.post(verb_url(verb, failed)).status_code == 403
    client.post(reverse(LIST), {"action": "retry_selected", "_selected_action": [str(failed.pk)]})
    failed.refresh_from_db()
    assert failed.state == State.DISCARDED
    assert hinted == []


def test_one_that_may_retry_may(staff: Callable[..., Client], failed: Execution, hinted: list[str]) -> None:
    client = staff(*VIEW, "rules_engine.retry_execution")
    assert client.post(verb_url("retry", failed)).status_code == 302
    assert hinted == ["rules"]


def test_an_unknown_execution_is_not_found(admin_client: Client) -> None:
    url = reverse("admin:rules_engine_execution_retry", args=[uuid4()])
    assert admin_client.post(url).status_code == 404


def test_the_data_of_an_event_is_for_those_who_may_view_its_model(
    staff: Callable[..., Client], mailing: Execution
) -> None:
    client = staff(*VIEW)
    event_url = reverse("admin:rules_engine_event_change", args=[mailing.event_id])
    for url in (page_of(mailing), event_url):
        page = client.get(url).content.decode()
        assert "A-1" not in page
        assert "You may not view" in page


def test_nobody_edits_executions_and_events(admin_client: Client, mailing: Execution) -> None:
    for name, pk in (("execution", mailing.pk), ("event", mailing.event_id)):
        for page in ("change", "delete"):
            url = reverse(f"admin:rules_engine_{name}_{page}", args=[pk])
            assert admin_client.post(url, {"post": "yes"}).status_code == 403
        assert admin_client.get(reverse(f"admin:rules_engine_{name}_add")).status_code == 403
    assert Execution.objects.filter(state=State.PENDING).exists()


def test_an_event_shows_what_each_rule_said_to_it(admin_client: Client, mailing: Execution) -> None:
    event = Event.objects.get()
    event.evaluations = [
        *event.evaluations,
        {"rule": HOSTILE, "version": 2, "outcome": "error", "gate": "condition", "detail": f"because {HOSTILE}"},
    ]
    event.save()
    url = reverse("admin:rules_engine_event_change", args=[event.pk])
    for page in (url, reverse("admin:rules_engine_event_changelist")):
        text = admin_client.get(page).content.decode()
        assert "mailing" in text.lower()  # its slug, or its name
        assert "could not be evaluated" in text
        assert HOSTILE not in text
    text = admin_client.get(url).content.decode()
    assert "its condition" in text
    assert "A-1 &lt;script&gt;" in text


def test_the_list_is_read_in_a_fixed_number_of_queries(
    admin_client: Client, mailing: Execution, django_assert_max_num_queries: Any
) -> None:
    with CaptureQueriesContext(connection) as few:
        admin_client.get(reverse(LIST))
    for number in range(5):
        Order.objects.create(order_number=f"more-{number}")
    with django_assert_max_num_queries(len(few)):
        admin_client.get(reverse(LIST))
