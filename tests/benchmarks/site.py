"""A site to measure: orders, rules, what is cleared before each block, and how much of it a run does."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import redis
from django.conf import settings
from django.db import connection, models, transaction

from rules_engine.live import watcher
from rules_engine.models import Event, Execution, Rule
from rules_engine.outbox import hints
from rules_engine.testing import reset
from tests.benchmarks.models import Order, OrderFields, Outbox
from tests.benchmarks.rounds import Variant

LOG = ("log_message", {"message": "{{ instance.number }} is paid"})
BECOMES_PAID = [{"field": "status", "to": "paid"}]
HAS_SOME = {">": [{"var": "instance.quantity"}, 0]}
MOMENT = dt.datetime(2031, 5, 6, 10, 30, tzinfo=dt.UTC)
#: For the thread of hints to have sent what a block left to it; not timed.
FLUSH_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Scale:
    """How much a run does: all of it, or a look."""

    quick: bool = False
    full: bool = False

    def rounds(self, usual: int) -> int:
        """Return how many rounds there are where so many are usual; four at least, for quartiles."""
        return max(4, usual // 4) if self.quick else usual

    def of(self, usual: int, quick: int) -> int:
        """Return the number that this run works with."""
        return quick if self.quick else usual


def fill(count: int) -> list[Any]:
    """Store so many orders that are new; returns their keys."""
    Order.objects.all().delete()
    made = Order.objects.bulk_create(Order(**fields(number)) for number in range(count))
    return [order.pk for order in made]


def fields(number: int) -> dict[str, Any]:
    """Return the fields of an order."""
    return {
        "number": f"A-{number:06}",
        "customer": f"Customer {number}",
        "email": f"customer-{number}@example.com",
        "quantity": number % 7 + 1,
        "total": Decimal("120.00") + number,
        "discount": Decimal("1.50"),
        "notes": "Please leave it with the neighbours, second floor. " * 3,
        "due_on": dt.date(2031, 5, 20),
        "ordered_at": MOMENT,
        "changed_at": MOMENT,
    }


def without_rules() -> None:
    """Remove all rules: each measure begins with none."""
    with watcher.without_reading():
        Rule.objects.all().delete()
    reset()


def clear() -> None:
    """Make all orders new, and forget what came of the last block: rows, and messages that nobody took."""
    hints.flush(FLUSH_SECONDS)
    Order.objects.update(status="new")
    Execution.objects.all().delete()
    Event.objects.all().delete()
    Outbox.objects.all().delete()
    if (client := broker()) is not None:
        client.flushdb()


def truncate(*tables: type[models.Model]) -> None:
    """Empty tables of PostgreSQL, and give their room back; of the audit trail nothing else does."""
    names = ", ".join(connection.ops.quote_name(table._meta.db_table) for table in tables)
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {names} CASCADE")


def broker() -> redis.Redis | None:
    """Return a client of this run's own database of Redis, or None where there is no Redis."""
    return redis.Redis.from_url(settings.REDIS_URL) if settings.REDIS_URL else None


def changes(model: type[OrderFields], keys: Iterable[Any], status: str) -> Callable[[], None]:
    """Return a block that gets each order, changes it and saves it, in a transaction of its own."""
    keys = list(keys)

    def act() -> None:
        for key in keys:
            with transaction.atomic():
                order = model._default_manager.get(pk=key)
                order.status = status
                order.notes = "changed"
                order.save()

    return act


def changing(model: type[OrderFields], keys: Iterable[Any], status: str) -> Variant:
    """Return the variant that changes these orders, after all has been cleared."""
    keys = list(keys)
    return Variant(changes(model, keys, status), len(keys), before=clear, after=clear)


def repeated(order: OrderFields, count: int) -> Callable[[], None]:
    """Return a block that saves one order again and again, in one transaction."""

    def act() -> None:
        with transaction.atomic():
            for number in range(count):
                order.quantity = number
                order.save()

    return act
