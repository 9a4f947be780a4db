"""A stored row of a model, with what a test does not care about filled in."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from itertools import count
from typing import Any, TypeVar

from django.db.models import Max, Model

from project.clinic.models import Appointment, Doctor, Patient
from project.shop.models import Order, OrderItem, Product
from tests.zoo.models import Animal
from webhooks.models import Endpoint

Row = TypeVar("Row", bound=Model)

_numbers = count(1)


def make_doctor(**fields: Any) -> Doctor:
    """Store Ada Byron, or whoever the fields say."""
    defaults = {
        "first_name": "Ada",
        "last_name": "Byron",
        "email": "ada@example.com",
        "slug": f"doctor-{next(_numbers)}",
    }
    return Doctor.objects.create(**{**defaults, **fields})


def make_appointment(**fields: Any) -> Appointment:
    """Store an appointment on a Tuesday, 6 May 2031, at half past ten; its doctor and its patient too, if need be."""
    fields.setdefault("date", dt.date(2031, 5, 6))
    fields.setdefault("time", dt.time(10, 30))
    if "doctor" not in fields:
        fields["doctor"] = make_doctor()
    if "patient" not in fields:
        fields["patient"] = Patient.objects.create(name="Tom Novak", email="tom@example.org")
    return Appointment.objects.create(**fields)


def make_order(**fields: Any) -> Order:
    """Store an order of nobody's, without items."""
    return Order.objects.create(**{"order_number": f"A-{next(_numbers)}", **fields})


def make_product(**fields: Any) -> Product:
    """Store a lamp for 9.95, of which there are a hundred."""
    return Product.objects.create(**{"name": "Lamp", "price": Decimal("9.95"), "stock": 100, **fields})


def order_with_items(*items: tuple[int, str], **fields: Any) -> Order:
    """Store an order of one product: for each item how many of it, and at what price."""
    order = make_order(**fields)
    product = make_product()
    for quantity, price in items:
        OrderItem.objects.create(order=order, product=product, quantity=quantity, unit_price=Decimal(price))
    return order


def make_many(rows: Sequence[Row]) -> list[Row]:
    """Store rows of one model in one statement, past its signals; return them with their keys, which not every database
    tells of more than one."""
    model = type(rows[0])
    newer = model._default_manager.filter(pk__gt=model._default_manager.aggregate(n=Max("pk"))["n"] or 0)
    model._default_manager.bulk_create(rows)
    return list(newer.order_by("pk"))


def make_animals(*names: str) -> list[Animal]:
    """Store an animal of each name, in that order."""
    return [Animal.objects.create(name=name) for name in names]


def make_endpoint(slug: str = "crm", **fields: Any) -> Endpoint:
    """Store an endpoint, named after its slug, that no test reaches unless it gives the address of a server."""
    return Endpoint.objects.create(slug=slug, **{"name": slug.upper(), "url": "https://example.com/", **fields})
