"""The pack ``shop`` under twenty writers at once, each of whom works off what is due as well."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.core.files.storage import default_storage
from django.core.management import call_command
from django.db import transaction
from django.db.models import F, Sum

from project.shop import signals
from project.shop.models import Order, OrderItem, Product
from project.shop.tasks import packing_list
from rules_engine.models import Execution, HeldMatch
from rules_engine.testing import refresh, run_due
from tests.acceptance.conftest import Worker
from tests.factories import make_product
from tests.threads import run_together

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.row_locks]

WRITERS = 20
PRICES = {"Lamp": "9.95", "Chair": "20.10", "Ink": "0.33"}


@pytest.fixture(autouse=True)
def _pack(worker: Worker) -> None:
    """The pack is installed, and a worker runs beside the writers."""
    call_command("rulepack", "install", "shop", verbosity=0)
    refresh()


def all_done() -> bool:
    return (
        not HeldMatch.objects.filter(state=HeldMatch.State.WAITING).exists()
        and not Execution.objects.live().exists()
        and not Execution.objects.exclude(state="succeeded").exists()
    )


def priced_products() -> list[Product]:
    return [make_product(name=name, price=Decimal(price), stock=1000) for name, price in PRICES.items()]


def test_s03_totals_are_exact_under_twenty_writers(worker: Worker) -> None:
    products = priced_products()
    orders = [Order.objects.create(order_number=f"A-{n}", shipping_cost=n) for n in range(2)]

    def write(number: int) -> None:
        made = []
        for turn in range(4):
            order = orders[(number + turn) % 2]
            product = products[(number + turn) % 3]
            made.append(
                OrderItem.objects.create(order=order, product=product, quantity=turn + 1, unit_price=product.price)
            )
        with transaction.atomic():
            made[0].quantity = number + 10
            made[0].save()
            made[1].order = made[0].order
            made[1].save()
        made[2].delete()
        run_due()

    run_together(WRITERS, write)
    worker.eventually(all_done)
    for number, order in enumerate(orders):
        order.refresh_from_db()
        expected = order.items.aggregate(found=Sum(F("quantity") * F("unit_price")))["found"]
        assert order.items.count() == WRITERS * 3 / 2
        assert (order.subtotal, order.total) == (expected, expected + number)


def test_s10_stock_is_exact_under_twenty_orders_paid_at_once(worker: Worker) -> None:
    products = priced_products()
    orders = []
    for number in range(WRITERS):
        order = Order.objects.create(order_number=f"A-{number}", status="pending")
        # In another order of products each time, as they come: who locks them so waits for each other.
        for turn in range(3):
            product = products[(number * (1 + number % 2) + turn) % 3]
            OrderItem.objects.create(order=order, product=product, quantity=turn + 1, unit_price=product.price)
        orders.append(order)
    sold = {
        product.pk: OrderItem.objects.filter(product=product).aggregate(found=Sum("quantity"))["found"]
        for product in products
    }

    def pay(number: int) -> None:
        for _ in range(2):
            with transaction.atomic():
                signals.order_paid.send(sender=Order, instance=orders[number])
        run_due()

    run_together(WRITERS, pay)
    worker.eventually(all_done)
    assert {product.pk: 1000 - product.stock for product in Product.objects.all()} == sold
    worker.eventually(lambda: all(default_storage.exists(packing_list(order.pk)) for order in orders))
    for order in orders:
        default_storage.delete(packing_list(order.pk))
    assert Execution.objects.filter(kind="run_task").count() == WRITERS, "Paid twice, packed once."


def test_s04_slugs_are_unique_under_twenty_products_of_one_name() -> None:
    def create(number: int) -> None:
        if number % 2:
            with transaction.atomic():
                Product.objects.create(name="Oak chair", price=1)
        else:
            Product.objects.create(name="Oak chair", price=1)

    run_together(WRITERS, create)
    slugs = set(Product.objects.values_list("slug", flat=True))
    assert Product.objects.count() == WRITERS, "No save is lost."
    assert len(slugs) == WRITERS
    assert all(slug.startswith("oak-chair") for slug in slugs)
