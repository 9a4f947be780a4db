"""django-import-export in bulk mode: an import, and a change of all prices, with a mail for each row that matched.

``IMPORT_ROWS=50000`` imports as many as those did who reported that their signals were not sent.
"""

from __future__ import annotations

import os
from collections import Counter
from decimal import Decimal

import pytest
import tablib
from django.core import mail
from django.db.models import F
from import_export import resources

from project.shop.models import Product
from rules_engine import acting_as, watching_bulk
from rules_engine.models import Event, Execution
from rules_engine.testing import create_rule, run_due

pytestmark = pytest.mark.django_db(transaction=True)

ROWS = int(os.environ.get("IMPORT_ROWS", "2000"))
#: One row in so many is dear enough for a mail.
EACH = 100
DEAR = {">": [{"var": "instance.price"}, 1000]}


class ProductResource(resources.ModelResource):
    """Imports products without saving them one by one."""

    class Meta:
        model = Product
        fields = ("id", "name", "price", "stock")
        use_bulk = True
        batch_size = 500
        skip_diff = True


def mail_of(text: str) -> list[tuple[str, dict[str, object]]]:
    return [("send_email", {"to": ["shop@example.com"], "subject": text, "body": text})]


def rows(price: Decimal, keys: list[int] | None = None) -> tablib.Dataset:
    """Products of which one in a hundred costs so much."""
    data = tablib.Dataset(headers=["id", "name", "price", "stock"])
    for number in range(ROWS):
        cost = price if number % EACH == 0 else Decimal("9.95")
        data.append([keys[number] if keys else "", f"Lamp {number}", cost, number])
    return data


def imported(data: tablib.Dataset) -> None:
    with watching_bulk():
        result = ProductResource().import_data(data, raise_errors=True)
    assert not result.has_errors()


def subjects() -> Counter[str]:
    """How often each subject was sent."""
    return Counter(str(one.subject) for one in mail.outbox)


def carried_out() -> None:
    while run_due():
        pass


def test_an_import_of_very_many_rows_mails_for_those_that_match(django_user_model: type) -> None:
    user = django_user_model.objects.create(username="importer")  # type: ignore[attr-defined]
    create_rule(model=Product, operations=["create"], condition=DEAR, actions=mail_of("New: {{ instance.name }}"))
    create_rule(
        model=Product,
        operations=["update"],
        changes=[{"field": "price"}],
        condition=DEAR,
        actions=mail_of("{{ instance.name }}: {{ changes.price.old }} to {{ changes.price.new }}"),
    )
    with acting_as(user):
        imported(rows(Decimal(2000)))
    carried_out()
    assert subjects() == Counter(f"New: Lamp {number}" for number in range(0, ROWS, EACH))
    assert set(Event.objects.values_list("actor_name", "operation")) == {("importer", "create")}
    mail.outbox.clear()
    keys = list(Product.objects.order_by("stock").values_list("pk", flat=True))
    imported(rows(Decimal("2000.50"), keys))
    carried_out()
    assert subjects() == Counter(f"Lamp {number}: 2000.00 to 2000.50" for number in range(0, ROWS, EACH))
    assert not Execution.objects.exclude(state="succeeded").exists()


def test_a_change_of_all_prices_mails_for_those_that_passed_a_bound() -> None:
    Product.objects.bulk_create(
        Product(name=f"Lamp {n}", price=Decimal(950) if n % EACH == 0 else Decimal("9.95")) for n in range(ROWS)
    )
    create_rule(
        model=Product,
        changes=[{"field": "price"}],
        condition={"and": [{"<=": [{"var": "old.price"}, 1000]}, DEAR]},
        actions=mail_of("{{ instance.name }}: {{ old.price }} to {{ instance.price }}"),
    )
    with watching_bulk():
        assert Product.objects.update(price=F("price") * Decimal("1.1")) == ROWS
    carried_out()
    assert subjects() == Counter(f"Lamp {number}: 950.00 to 1045.00" for number in range(0, ROWS, EACH))
