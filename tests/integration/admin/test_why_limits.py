"""What held a rule back: who used its limit up, when there is room again, on every page that says why."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db.models.functions import Now
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.html import strip_tags

from project.shop.models import Order
from rules_engine.admin.parts.rendering import short_time
from rules_engine.models import Event, Execution, Heartbeat, HeldMatch, Pause, Rule
from rules_engine.testing import create_rule, refresh, run_due

pytestmark = pytest.mark.django_db(transaction=True)

LOG = ("log_message", {"message": "x"})
HOURLY = {"throttle_count": 1, "throttle_seconds": 3600, "throttle_by": "{{ instance.customer_id }}"}
RIGHTS = tuple(f"rules_engine.view_{name}" for name in ("rule", "event", "execution", "heldmatch", "pause"))


@pytest.fixture
def carmen() -> Any:
    return get_user_model().objects.create(username="carmen")


def rule(name: str, **fields: Any) -> Rule:
    return create_rule(Order, name=name, slug=name.lower(), actions=[LOG], **fields)


def order(number: str, **fields: Any) -> Order:
    made = Order.objects.create(order_number=number, **fields)
    run_due()
    return made


def page(client: Client, name: str, *args: Any, **data: str) -> str:
    response = client.get(reverse(f"admin:rules_engine_{name}", args=args), data)
    assert response.status_code == 200
    return words(response)


def words(response: Any) -> str:
    return re.sub(r"\s+", " ", unescape(strip_tags(response.content.decode().replace("<", " <"))))


def why(client: Client, made: Order) -> str:
    return page(client, "rule_why", model="shop.order", pk=str(made.pk))


def released() -> HeldMatch:
    return HeldMatch.objects.get(state="released")


def said_of_limit() -> str:
    acted = released().decided_at
    assert acted is not None
    return (
        "At most once an hour per customer; here: carmen. "
        f"It acted for Order A at {short_time(acted)} "
        f"It can act again at {short_time(acted + timedelta(hours=1))} "
    )


def test_a_limit_names_who_used_it_up_and_when_there_is_room(admin_client: Client, carmen: Any) -> None:
    rule("Seldom", **HOURLY)
    order("A", customer=carmen)
    second = order("B", customer=carmen)
    assert f"held back Seldom {said_of_limit()}Held match · What used it up · The limit" in why(admin_client, second)


def test_one_that_acted_says_for_whom_and_when_it_acts_next(admin_client: Client, carmen: Any) -> None:
    rule("Seldom", **HOURLY)
    first = order("A", customer=carmen)
    acted = released().decided_at
    assert acted is not None
    again = short_time(acted + timedelta(hours=1))
    assert f"Next for carmen at {again} (at most once an hour per customer)." in why(admin_client, first)


def test_one_that_is_counted_by_itself_has_room(admin_client: Client, carmen: Any) -> None:
    rule("Seldom", **HOURLY)
    order("A", customer=carmen)
    assert "acted Seldom" in why(admin_client, order("B"))


def test_a_limit_of_three_names_the_last_ones_and_waits_for_the_first(admin_client: Client) -> None:
    rule("Seldom", throttle_count=3, throttle_seconds=120)
    for number in ("A", "B", "C"):
        order(number)
    second = order("D")
    matches = HeldMatch.objects.filter(state="released").order_by("decided_at")
    times = [short_time(match.decided_at) for match in matches if match.decided_at]
    first = matches[0].decided_at
    assert first is not None
    told = why(admin_client, second)
    assert "At most 3 times in 2 minutes." in told
    assert f"It acted for Order C at {times[2]} Before that: Order B ({times[1]}), Order A ({times[0]})." in told
    assert f"It can act again at {short_time(first + timedelta(minutes=2))}" in told


def test_a_limit_whose_time_is_over_has_room_again(admin_client: Client, carmen: Any) -> None:
    rule("Seldom", **HOURLY)
    order("A", customer=carmen)
    second = order("B", customer=carmen)
    HeldMatch.objects.update(decided_at=timezone.now() - timedelta(hours=2))
    told = why(admin_client, second)
    assert "It acted for Order A at" in told
    assert "There is room for it again now." in told


def test_a_limit_that_was_changed_since_says_so(admin_client: Client) -> None:
    made = rule("Seldom", throttle_count=1, throttle_seconds=3600)
    order("A")
    second = order("B")
    made.throttle_count = 5
    made.save()
    refresh()
    told = why(admin_client, second)
    assert "At most once an hour." in told
    assert "The rule has another limit by now." in told
    assert "It can act again" not in told


@pytest.mark.parametrize("more", [[], ["accounts.view_user"]])
def test_who_used_it_up_is_named_to_those_alone_who_may_view_it(
    more: list[str], staff: Callable[..., Client], carmen: Any
) -> None:
    rule("Seldom", **HOURLY)
    order("A", customer=carmen)
    second = order("B", customer=carmen)
    told = why(staff(*RIGHTS, "shop.view_order", *more), second)
    assert "It acted for Order A at" in told
    assert ("carmen" in told) == bool(more)


def test_a_rule_that_acts_once_names_when_it_acted(admin_client: Client) -> None:
    rule("Once", once=True)
    made = order("A")
    made.save()
    run_due()
    acted = released().decided_at
    assert acted is not None
    told = why(admin_client, made)
    assert (
        f"held back Once Once for each object. It acted on this object at {short_time(acted)} It does not act" in told
    )


def test_what_waits_for_more_and_what_is_taken_together_is_told(admin_client: Client) -> None:
    rule("Summary", coalesce_seconds=3600)
    made = Order.objects.create(order_number="A")
    made.save()
    due = HeldMatch.objects.latest("created_at").due_at
    assert f"waiting Summary Held until {short_time(due)} for more of the same" in why(admin_client, made)
    HeldMatch.objects.update(due_at=Now())
    run_due()
    told = why(admin_client, made)
    assert "held back Summary Taken together with a later change, which acts in its place. That one acted at" in told


def test_a_pause_is_told_with_its_reason_and_link(admin_client: Client, staff: Callable[..., Client]) -> None:
    rule("Resting")
    pause = Pause.objects.create(rule_slug="resting", paused_by="Ann", reason="stocktaking")
    refresh()
    made = order("A")
    assert "paused Resting Paused by Ann until somebody resumes: stocktaking." in why(admin_client, made)
    link = f"/rules_engine/pause/{pause.pk}/change/"
    asked = {"model": "shop.order", "pk": str(made.pk)}
    address = reverse("admin:rules_engine_rule_why")
    assert link in admin_client.get(address, asked).content.decode()
    less = staff(*(right for right in RIGHTS if "pause" not in right), "shop.view_order")
    told = words(less.get(address, asked))
    assert "paused Resting Paused until somebody resumes." in told
    assert "stocktaking" not in told
    assert link not in less.get(address, asked).content.decode()


def test_what_nobody_takes_up_says_since_when_no_worker_was_seen(admin_client: Client) -> None:
    rule("Acting")
    made = Order.objects.create(order_number="A")
    assert "No worker was ever seen: it is done when one is started. Execution · Overview" in why(admin_client, made)
    seen = timezone.now() - timedelta(hours=1)
    Heartbeat.objects.create(kind="sweep", host="h")
    Heartbeat.objects.update(seen_at=seen)
    assert f"No worker was seen since {short_time(seen)}" in why(admin_client, made)
    Heartbeat.objects.update(seen_at=timezone.now())
    assert "A worker takes it up within seconds." in why(admin_client, made)


def test_what_was_given_up_says_after_how_many_tries(admin_client: Client) -> None:
    rule("Acting")
    made = order("A")
    Execution.objects.update(state="discarded", attempts=5, error="The mail server refused the connection.", summary="")
    told = why(admin_client, made)
    assert "failed Acting Write a log message: The mail server refused the connection. Given up after 5 tries." in told
    again = timezone.now() + timedelta(minutes=5)
    Execution.objects.update(state="retryable", next_attempt_at=again)
    assert f"refused the connection. Tried again at {short_time(again)}" in why(admin_client, made)


def test_many_actions_of_one_rule_are_one_verdict_that_counts_them(admin_client: Client) -> None:
    create_rule(Order, name="Each", slug="each", actions=[LOG, LOG, LOG])
    made = order("A")
    Execution.objects.filter(position=1).update(state="discarded", error="Broken.", summary="")
    told = why(admin_client, made)
    assert told.count(" Each ") == 1
    assert "1 of 3 actions. 3 executions" in told


@pytest.mark.parametrize("name", ["heldmatch_change", "event_change", "execution_change"])
def test_the_pages_of_records_have_the_same_block_and_lead_on(name: str, admin_client: Client, carmen: Any) -> None:
    rule("Seldom", **HOURLY)
    rule("Other")
    order("A", customer=carmen)
    second = order("B", customer=carmen)
    rows = {
        "heldmatch_change": HeldMatch.objects.get(state="dropped"),
        "event_change": Event.objects.get(object_pk=str(second.pk)),
        "execution_change": Execution.objects.get(event__object_pk=str(second.pk)),
    }
    response = admin_client.get(reverse(f"admin:rules_engine_{name}", args=[rows[name].pk]))
    told = words(response)
    assert ("held back Seldom At most once" in told) == (name != "execution_change")
    assert ("acted Other Write a log message" in told) == (name != "heldmatch_change")
    assert f"{reverse('admin:rules_engine_rule_why')}?model=shop.order&amp;pk={second.pk}" in response.content.decode()


def test_the_objects_own_page_has_the_same_block(admin_client: Client, carmen: Any) -> None:
    rule("Seldom", **HOURLY)
    order("A", customer=carmen)
    second = order("B", customer=carmen)
    told = words(admin_client.get(reverse("admin:shop_order_change", args=[second.pk])))
    assert f"held back Seldom {said_of_limit()}" in told


@pytest.mark.parametrize("more", [[], ["shop.view_order"]])
def test_a_record_whose_object_is_hidden_quotes_nothing_of_it(more: list[str], staff: Callable[..., Client]) -> None:
    rule("Paid", condition={"==": [{"var": "instance.order_number"}, "Z"]})
    create_rule(Order, name="Says", slug="says", actions=[("log_message", {"message": "{{ instance.order_number }}"})])
    order("SECRET-1")
    told = page(staff(*RIGHTS, *more), "event_change", Event.objects.get().pk)
    assert "acted Says Write a log message" in told
    assert ("SECRET-1" in told) == bool(more)


def test_the_test_of_a_rule_tells_the_limit_without_using_it(admin_client: Client, carmen: Any) -> None:
    made = rule("Seldom", **HOURLY)
    address = reverse("admin:rules_engine_rule_test", args=[made.pk])
    first = Order.objects.create(order_number="A", customer=carmen)
    given = {"pk": str(first.pk), "signal": "post_save", "operation": "update", "changes-TOTAL_FORMS": "0",
             "changes-INITIAL_FORMS": "0"}  # fmt: skip
    HeldMatch.objects.all().delete()
    told = words(admin_client.post(address, given))
    assert "The rule would act. At most once an hour per customer: there is room for it now." in told
    assert "there is room for it now." in words(admin_client.post(address, given))
    first.save()
    run_due()
    told = words(admin_client.post(address, given))
    assert f"The rule would match, and be held back now. {said_of_limit()}What used it up" in told
    assert HeldMatch.objects.count() == 1


def test_the_test_of_a_rule_tells_a_pause_and_a_wait(admin_client: Client) -> None:
    made = rule("Resting", coalesce_seconds=300)
    Pause.objects.create(rule_slug="resting", paused_by="Ann", reason="stocktaking")
    first = Order.objects.create(order_number="A")
    given = {"pk": str(first.pk), "signal": "post_save", "operation": "update", "changes-TOTAL_FORMS": "0",
             "changes-INITIAL_FORMS": "0"}  # fmt: skip
    told = words(admin_client.post(reverse("admin:rules_engine_rule_test", args=[made.pk]), given))
    assert "be held back now. Paused by Ann until somebody resumes: stocktaking. The pause" in told
    assert "It would be held for 5 minutes for more of the same; then the last one acts." in told
