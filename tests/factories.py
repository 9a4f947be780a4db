"""A stored row of a model of the demo, with what a test does not care about filled in."""

from __future__ import annotations

from itertools import count
from typing import Any

from project.clinic.models import Doctor
from project.shop.models import Order

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


def make_order(**fields: Any) -> Order:
    """Store an order of nobody's, without items."""
    return Order.objects.create(**{"order_number": f"A-{next(_numbers)}", **fields})
