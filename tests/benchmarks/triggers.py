"""What database triggers cost a writer: many rows by one statement, single saves, and writers of other tables.

``DATABASE_URL=… python -m tests.benchmarks.one_database --only P14`` measures it alone on that database.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.db import connection, transaction
from django.db.models import F

from rules_engine.live.triggers import installing
from rules_engine.models import CapturedChange
from rules_engine.testing import create_rule, refresh, reset
from tests.benchmarks import models
from tests.benchmarks.rounds import Variant, interleave
from tests.benchmarks.site import LOG, Scale, fields, fill, without_rules
from tests.benchmarks.tables import Found, of_rounds

ROWS = 10_000
SAVES = 100
PLAIN, AGAIN, CAPTURED = "one statement", "one statement again (A/A)", "one statement, captured"
SAVE, SAVE_AGAIN, SAVE_CAPTURED = "save", "save again (A/A)", "save, captured"
SAVE_BESIDE = "save of another model"
HISTORY = "one statement, django-pghistory"


def raised(model: Any) -> Callable[[], None]:
    """Return a block that raises the total of all orders by one statement, and takes that back."""

    def act() -> None:
        with transaction.atomic():
            model._default_manager.update(total=F("total") + 1)
            transaction.set_rollback(True)

    return act


def raising(order: Any) -> Callable[[], None]:
    """Return a block that saves one order again and again, each time for more, in one transaction."""

    def act() -> None:
        with transaction.atomic():
            for _ in range(SAVES):
                order.total += 1
                order.save()

    return act


def measure(scale: Scale) -> Found:
    """P14: a rule that one row of a hundred matches is told by triggers."""
    without_rules()
    rows = scale.of(ROWS, 2_000)
    fill(rows)
    models.CapturedOrder.objects.all().delete()
    models.CapturedOrder.objects.bulk_create(models.CapturedOrder(**fields(number)) for number in range(rows))
    matches = {"<": [{"var": "instance.total"}, 120 + rows // 100]}
    create_rule(models.CapturedOrder, changes=[{"field": "total"}], condition=matches, actions=[LOG])
    for capture in installing.captures_for(models.CapturedOrder):
        installing.install(capture, grace=0)
    try:
        return _measured(scale, rows)
    finally:
        installing.remove("benchmarks.capturedorder", lambda seconds: None, grace=0)
        models.CapturedOrder.objects.all().delete()
        CapturedChange.objects.all().delete()
        without_rules()


def _peers(rows: int) -> dict[str, Variant]:
    """Return django-pghistory's variant, with its triggers installed, where it is there."""
    if "pghistory" not in settings.PEERS:
        return {}
    call_command("pgtrigger", "install", verbosity=0)
    models.HistoryOrder._default_manager.all().delete()
    models.HistoryOrder._default_manager.bulk_create(models.HistoryOrder(**fields(number)) for number in range(rows))
    return {HISTORY: Variant(raised(models.HistoryOrder), rows)}


def _measured(scale: Scale, rows: int) -> Found:
    refresh()
    statements = {
        PLAIN: Variant(raised(models.Order), rows),
        AGAIN: Variant(raised(models.Order), rows),
        CAPTURED: Variant(raised(models.CapturedOrder), rows),
        **_peers(rows),
    }
    of_statements = interleave(statements, scale.rounds(10))
    order, captured = models.Order.objects.all()[0], models.CapturedOrder.objects.all()[0]
    saves = {
        SAVE: Variant(raising(order), SAVES, before=without_triggers),
        SAVE_AGAIN: Variant(raising(order), SAVES, before=without_triggers),
        SAVE_BESIDE: Variant(raising(order), SAVES, before=refresh),
        SAVE_CAPTURED: Variant(raising(captured), SAVES, before=refresh),
    }
    of_saves = interleave(saves, scale.rounds(40))
    head, lines = of_rounds(of_statements, list(statements), PLAIN)
    _, more = of_rounds(of_saves, list(saves), SAVE)
    # The quickest of each: the difference of two medians is mostly what else the machine does. SQLite works in this
    # process, whose own time on a core says still less of the others.
    is_in_process = connection.vendor == "sqlite"
    quickest = {name: min(times.cpu if is_in_process else times.wall) for name, times in of_statements.times.items()}
    more_a_row = (quickest[CAPTURED] - quickest[PLAIN]) * 1e6
    figures = {
        "microseconds more a row": more_a_row,
        "save, captured": of_saves.ratio(SAVE_CAPTURED, SAVE).middle,
        "save of another model": of_saves.ratio(SAVE_BESIDE, SAVE).middle,
    }
    return Found(head, [*lines, *more], figures)


def without_triggers() -> None:
    """Have this process know of no triggers; the tables keep theirs."""
    reset()
