"""The scenarios of the pack ``shop``: objects are saved here, and a worker does what the rules say."""

from __future__ import annotations

import datetime as dt
import json
import logging
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.core import mail
from django.core.cache import cache
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import call_command
from django.db import transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from standardwebhooks.webhooks import Webhook

from project.accounts.models import User
from project.shop import signals
from project.shop.models import Category, Order, OrderItem, Product, ProductImage, StatusHistory, Tag
from project.shop.tasks import packing_list
from rules_engine.models import Event, Execution, HeldMatch, Rule, RuleError
from rules_engine.testing import create_rule, refresh, run_due
from tests.acceptance.conftest import Mailbox, Worker
from tests.factories import make_endpoint, make_order, make_product
from tests.http_server import MisbehavingServer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _pack() -> None:
    """The pack is installed, as an operator does it."""
    call_command("rulepack", "install", "shop", verbosity=0)
    refresh()


@pytest.fixture
def picture() -> Iterator[Any]:
    """Makes a file of the shop's; none is left behind."""
    names: list[str] = []

    def make(name: str) -> str:
        names.append(default_storage.save(f"products/{name}", ContentFile(b"picture")))
        return names[-1]

    yield make
    for name in names:
        default_storage.delete(name)


def carmens_order(number: str = "A-1", **fields: Any) -> Order:
    customer, _ = User.objects.get_or_create(username="carmen", first_name="Carmen", email="carmen@example.org")
    return make_order(order_number=number, customer=customer, **fields)


def add(order: Order, product: Product, quantity: int = 2, price: str = "9.95") -> OrderItem:
    return OrderItem.objects.create(order=order, product=product, quantity=quantity, unit_price=Decimal(price))


def amounts(order: Order) -> tuple[Decimal, Decimal]:
    order.refresh_from_db()
    return order.subtotal, order.total


def subjects() -> list[str]:
    return [message.subject for message in mail.outbox]


def nothing_waits() -> bool:
    waiting = HeldMatch.objects.filter(state=HeldMatch.State.WAITING)
    return not Execution.objects.live().exists() and not waiting.exists()


def enable(slug: str) -> None:
    Rule.objects.filter(slug=slug).update(enabled=True)
    refresh()


def logged(caplog: pytest.LogCaptureFixture) -> list[tuple[str, Any]]:
    own = [record for record in caplog.records if record.name == "rules_engine.messages"]
    return [(record.getMessage(), record.fields) for record in own]  # type: ignore[attr-defined]


def test_s01_orders_are_logged_with_their_values_as_fields(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "rules_engine.messages")
    order = carmens_order(shipping_cost=5)
    add(order, make_product())
    run_due()
    (created, fields), *updated = logged(caplog)
    assert created == "Order created: A-1"
    base = {"order_id": str(order.pk), "order_number": "A-1", "customer_id": str(order.customer_id), "status": "draft"}
    assert fields == {**base, "total": "0.00"}
    # The rules have worked out the total twice, and each was a save: with the shipping alone, and with the item.
    assert {text for text, _ in updated} == {"Order updated: A-1"}
    assert updated[-1][1] == {**base, "total": "24.90"}


def test_s02_a_new_order_is_confirmed_by_mail_and_a_webhook_called(
    worker: Worker, mailbox: Mailbox, receiver: MisbehavingServer
) -> None:
    endpoint = make_endpoint("demo", name="Elsewhere", url=receiver.url("/push"))
    enable("s02-order-created-webhook")
    order = carmens_order(status="pending")
    worker.eventually(lambda: receiver.requests and mailbox.messages and nothing_waits())
    [message] = mailbox.messages
    assert (message["To"], message["Subject"]) == ("carmen@example.org", "Your order A-1")
    assert "thank you: we have your order A-1." in message.get_content()
    [request] = receiver.requests
    content = Webhook(endpoint.secret).verify(request.body, {name.lower(): value for name, value in request.headers})
    assert content == {"title": "New order A-1", "order_id": order.pk, "status": "pending"}
    order.save()
    worker.eventually(nothing_waits)
    assert (len(mailbox.messages), len(receiver.requests)) == (1, 1), "Saving it again tells nobody."


def test_s02_an_order_of_nobody_is_confirmed_to_nobody() -> None:
    Order.objects.create(order_number="A-1")
    run_due()
    assert mail.outbox == []


def test_s03_totals_follow_items_that_are_added_changed_moved_and_deleted() -> None:
    order, other = carmens_order(shipping_cost=5, discount=Decimal("1.50")), carmens_order("A-2")
    lamp, chair = make_product(), make_product(name="Chair")
    first, second = add(order, lamp), add(order, chair, 3, "20.10")
    run_due()
    assert amounts(order) == (Decimal("80.20"), Decimal("83.70"))
    first.quantity = 1
    first.save()
    run_due()
    assert amounts(order) == (Decimal("70.25"), Decimal("73.75"))
    second.order = other
    second.save()
    run_due()
    assert amounts(order) == (Decimal("9.95"), Decimal("13.45"))
    assert amounts(other) == (Decimal("60.30"), Decimal("60.30"))
    second.delete()
    OrderItem.objects.filter(order=order).delete()
    run_due()
    assert amounts(order) == (0, Decimal("3.50"))
    assert amounts(other) == (0, 0)


def test_s03_totals_follow_shipping_and_survive_a_save_of_old_values() -> None:
    order = carmens_order()
    stale = Order.objects.get()
    add(order, make_product())
    run_due()
    stale.shipping_cost, stale.discount = Decimal("4.00"), Decimal("0.90")
    stale.save()
    assert amounts(stale)[0] == 0, "What was read before the item came is written over the new amounts,"
    run_due()
    assert amounts(stale) == (Decimal("19.90"), Decimal("23.00")), "and the rule mends it."


def test_s03_many_items_of_one_transaction_are_summed_up_once() -> None:
    orders, lamp = [carmens_order("A-1"), carmens_order("A-2")], make_product()
    run_due()
    with transaction.atomic():
        for order in orders:
            for _ in range(10):
                add(order, lamp, 1)
    run_due()
    assert [amounts(order)[0] for order in orders] == [Decimal("99.50")] * 2
    assert Execution.objects.filter(rule_slug="s03-item-changed-totals").count() == 2


def test_s04_products_get_a_slug_with_a_counter_when_it_is_taken() -> None:
    first, second = make_product(name="Field notebook"), make_product(name="Field Notebook!")
    chosen = make_product(name="Field notebook", slug="mine")
    assert [one.slug for one in (first, second, chosen)] == ["field-notebook", "field-notebook-2", "mine"]
    second.name = "Another name"
    second.save()
    second.refresh_from_db()
    assert second.slug == "field-notebook-2", "Links keep working."


def test_s05_a_change_of_status_sets_time_and_history_and_mails_once() -> None:
    before = timezone.now()
    order = carmens_order()
    run_due()
    mail.outbox.clear()
    for status in ("draft", "pending", "pending", "paid"):
        order.status = status
        order.save()
    history = StatusHistory.objects.order_by("pk").values_list("from_status", "to_status")
    assert list(history) == [("", "draft"), ("draft", "pending"), ("pending", "paid")], "It is there with the save."
    order.refresh_from_db()
    assert order.status_changed_at is not None
    assert before < order.status_changed_at < timezone.now()
    changed_at = order.status_changed_at
    run_due()
    assert subjects() == ["Your order A-1 is pending", "Your order A-1 is paid"]
    assert "was pending and is now paid" in mail.outbox[1].body
    order.shipping_cost = 3
    order.save()
    run_due()
    order.refresh_from_db()
    assert (order.status_changed_at, len(mail.outbox), StatusHistory.objects.count()) == (changed_at, 2, 3)


def test_s05_the_time_is_noted_too_where_only_the_status_is_saved() -> None:
    order = carmens_order()
    long_ago = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    Order.objects.update(status_changed_at=long_ago)
    order.status = "pending"
    order.save(update_fields=["status"])
    order.refresh_from_db()
    assert order.status_changed_at is not None
    assert order.status_changed_at > long_ago


def test_s06_pictures_no_longer_used_are_deleted_after_the_commit(picture: Any) -> None:
    own, further, shared = picture("own.png"), picture("further.png"), picture("shared.png")
    product = make_product(image=own)
    ProductImage.objects.create(product=product, image=further)
    ProductImage.objects.create(product=product, image=shared)
    make_product(name="Chair", image=shared)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        Product.objects.get(pk=product.pk).delete()
        raise ZeroDivisionError
    run_due()
    assert all(default_storage.exists(name) for name in (own, further, shared)), "It was not deleted after all."
    product.delete()
    assert default_storage.exists(own)
    run_due()
    assert [default_storage.exists(name) for name in (own, further, shared)] == [False, False, True]


def test_s07_the_cache_of_a_deleted_product_is_cleared() -> None:
    product = make_product(category=Category.objects.create(name="Light"))
    keys = [f"product_{product.pk}", f"category_{product.category_id}_products", "product_list"]
    cache.set_many(dict.fromkeys([*keys, f"product_{product.pk + 1}"], "cached"))
    product.save()
    run_due()
    assert len(cache.get_many(keys)) == 3, "It was saved, and not deleted."
    pk = product.pk
    product.delete()
    run_due()
    assert cache.get_many(keys) == {}
    assert cache.get(f"product_{pk + 1}") == "cached"


def test_s08_tags_are_counted_anew_from_either_side_and_on_deletion() -> None:
    new, sale = Tag.objects.create(name="new"), Tag.objects.create(name="sale")
    lamp, chair = make_product(), make_product(name="Chair")

    def counts() -> list[int]:
        run_due()
        return list(Tag.objects.order_by("name").values_list("product_count", flat=True))

    lamp.tags.add(new, sale)
    chair.tags.set([new])
    assert counts() == [2, 1]
    sale.products.add(chair)
    assert counts() == [2, 2]
    new.products.remove(chair)
    assert counts() == [1, 2]
    sale.products.clear()
    assert counts() == [1, 0]
    lamp.tags.clear()
    assert counts() == [0, 0]
    lamp.tags.add(new, sale)
    chair.tags.add(sale)
    assert counts() == [1, 2]
    lamp.delete()
    assert counts() == [0, 1]
    Product.objects.all().delete()
    assert counts() == [0, 0]


def test_s09_the_row_changes_in_the_transaction_the_mail_goes_after_it(worker: Worker, mailbox: Mailbox) -> None:
    order = carmens_order(status="shipped")
    worker.eventually(nothing_waits)
    mailbox.messages.clear()
    for undone in (True, False):
        with transaction.atomic():
            signals.order_delivered.send(sender=Order, instance=order)
            assert Order.objects.get().status == "delivered"
            assert StatusHistory.objects.filter(to_status="delivered").count() == 1, "Other rules follow on it."
            assert mailbox.messages == []
            transaction.set_rollback(undone)
        worker.eventually(nothing_waits)
        assert (Order.objects.get().status, bool(mailbox.messages)) == (
            ("shipped", False) if undone else ("delivered", True)
        )
    asked = [message for message in mailbox.messages if message["Subject"] == "How do you like it?"]
    assert [message["To"] for message in asked] == ["carmen@example.org"]
    assert Event.objects.filter(signal="shop.order_delivered").count() == 1


def test_s10_a_paid_order_is_taken_from_stock_and_requested_once(
    worker: Worker, admin_client: Client, receiver: MisbehavingServer
) -> None:
    make_endpoint("demo", name="Elsewhere", url=receiver.url("/fulfil"))
    enable("s10-order-paid-webhook")
    lamp, chair = make_product(), make_product(name="Chair", stock=5)
    order = carmens_order(status="pending")
    add(order, lamp, 3)
    add(order, chair, 1)
    add(order, lamp, 4)
    for _ in range(2):
        with transaction.atomic():
            signals.order_paid.send(sender=Order, instance=order)
    worker.eventually(lambda: default_storage.exists(packing_list(order.pk)) and receiver.requests and nothing_waits())
    with default_storage.open(packing_list(order.pk)) as file:
        assert file.read().decode() == "Order A-1\n3 × Lamp\n1 × Chair\n4 × Lamp\n"
    default_storage.delete(packing_list(order.pk))
    assert list(Product.objects.order_by("pk").values_list("stock", flat=True)) == [93, 4]
    [request] = receiver.requests
    content = json.loads(request.body)
    assert (content["type"], content["data"]["instance"]["id"]) == ("shop.order_paid", order.pk)

    # The same by a person: the admin's action is code that sends the signal.
    other = carmens_order("A-2", status="pending")
    add(other, chair, 2)
    page = reverse("admin:shop_order_changelist")
    done = admin_client.post(page, {"action": "mark_paid", "_selected_action": [other.pk]})
    assert done.status_code == 302
    worker.eventually(lambda: Product.objects.get(pk=chair.pk).stock == 2 and nothing_waits())
    worker.eventually(lambda: default_storage.exists(packing_list(other.pk)))
    default_storage.delete(packing_list(other.pk))
    other.refresh_from_db()
    assert other.status == "paid"


def test_s11_an_order_saves_items_that_save_the_order_and_it_ends() -> None:
    lamp = make_product()
    order = carmens_order()
    add(order, lamp)
    add(order, lamp, 1)
    run_due()
    lamp.price = Decimal("12.00")
    lamp.save()
    create_rule(Order, slug="touches-items", actions=[("update_objects", {"target": "items"})])
    order.refresh_from_db()
    order.status = "pending"
    order.save()
    run_due()
    assert amounts(order) == (Decimal("36.00"), Decimal("36.00"))
    assert nothing_waits()
    assert not RuleError.objects.exists(), "It came to rest by itself."
    assert Execution.objects.filter(rule_slug="touches-items").count() < 5


def test_s11_an_endless_loop_is_stopped_and_the_admin_says_where(admin_client: Client) -> None:
    order = carmens_order()
    add(order, make_product())
    run_due()
    more = {"field": "quantity", "value": "1", "how": "increment"}
    create_rule(Order, slug="one-more", actions=[("update_objects", {"target": "items", "values": [more]})])
    order.refresh_from_db()
    order.shipping_cost = 5
    order.save()
    assert run_due() < 100
    assert nothing_waits()
    stopped = RuleError.objects.order_by("pk").first()
    assert stopped is not None
    assert "9 levels deep; RULES_ENGINE['MAX_DEPTH'] is 8" in stopped.message
    page = admin_client.get(reverse("admin:rules_engine_event_change", args=[stopped.event_id])).content.decode()
    assert "9 levels deep" in page
    rule = Rule.objects.get(slug=stopped.rule_slug)
    assert (
        "9 levels deep" in admin_client.get(reverse("admin:rules_engine_rule_change", args=[rule.pk])).content.decode()
    )


def test_s12_a_deleted_order_is_logged_and_its_customers_cache_cleared(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "rules_engine.messages")
    order = carmens_order(status="cancelled")
    add(order, make_product())
    run_due()
    caplog.clear()
    order.refresh_from_db()
    key, pk = f"customer_{order.customer_id}_orders", order.pk
    cache.set_many({key: "cached", "customer_0_orders": "cached"})
    order.delete()
    run_due()
    [(text, fields)] = logged(caplog)
    assert (text, fields["order_id"], fields["total"]) == ("Order deleted: A-1", str(pk), "19.90")
    assert (cache.get(key), cache.get("customer_0_orders")) == (None, "cached")
    assert not Execution.objects.exclude(state="succeeded").exists()
