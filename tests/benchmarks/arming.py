"""What a save costs that begins a wait of a rule that waits whether something stays so, or ends one."""

from __future__ import annotations

import uuid
from typing import Any

from django.db.models.signals import post_save
from django.utils import timezone

from rules_engine.models import Armed
from rules_engine.testing import create_rule, refresh
from tests.benchmarks import models
from tests.benchmarks.rounds import Variant, interleave
from tests.benchmarks.site import LOG, Scale, changes, clear, fill, without_rules
from tests.benchmarks.tables import Found, of_rounds

ORDERS = 20
STAYS = {"kind": "stays", "count": 3, "unit": "days"}
IS_PAID = {"==": [{"var": "instance.status"}, "paid"]}
ROW, AGAIN, BEGINS, ENDS = "one row more", "one row more, again", "begins a wait", "ends a wait"


def measure(scale: Scale) -> Found:
    """P18: get, change and save; beside it the same where a receiver adds a row."""
    without_rules()
    keys = fill(ORDERS)
    create_rule(models.ArmedOrder, schedule=STAYS, condition=IS_PAID, actions=[LOG])
    refresh()
    post_save.connect(_add_row, sender=models.OneRowOrder)
    begin, end = (changes(models.ArmedOrder, keys, status) for status in ("paid", "held"))
    row = changes(models.OneRowOrder, keys, "paid")
    variants = {
        ROW: Variant(row, ORDERS, before=_clear, after=_clear),
        AGAIN: Variant(row, ORDERS, before=_clear, after=_clear),
        BEGINS: Variant(begin, ORDERS, before=_clear, after=_clear),
        ENDS: Variant(end, ORDERS, before=lambda: (_clear(), begin()), after=_clear),
    }
    rounds = interleave(variants, scale.rounds(32))
    begin()
    end()
    marks = list(Armed.objects.values_list("holds", flat=True))
    wrong = abs(marks.count(True) - ORDERS) + abs(marks.count(False) - ORDERS)
    post_save.disconnect(_add_row, sender=models.OneRowOrder)
    _clear()
    without_rules()
    figures = {name: rounds.ratio(name, ROW).middle for name in (BEGINS, ENDS)}
    return Found(*of_rounds(rounds, list(variants), ROW), {**figures, "waits not marked": float(wrong)})


def _add_row(instance: Any, **_sent: Any) -> None:
    now = timezone.now()
    models.Outbox.objects.create(
        id=uuid.uuid4(), rule=1, model="shop.order", object_pk=str(instance.pk), made_at=now, due_at=now
    )


def _clear() -> None:
    clear()
    Armed.objects.all().delete()
