"""What a save costs: with no rule, with rules that do not match, with one that does, and beside peers.

``DATABASE_URL=… python -m tests.benchmarks.saves`` measures these goals alone on that database: P1 to P4, P6, P7, P10.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from typing import Any

from tests.benchmarks import one_database

if __name__ == "__main__":
    one_database.set_up()

from django.conf import settings
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from rules_engine.outbox import hints
from rules_engine.testing import create_rule, refresh, reset
from tests.benchmarks import models
from tests.benchmarks.by_hand import ACTIONS
from tests.benchmarks.goals import COUNTS
from tests.benchmarks.rounds import Rounds, Variant, interleave
from tests.benchmarks.site import (
    BECOMES_PAID,
    FLUSH_SECONDS,
    HAS_SOME,
    LOG,
    Scale,
    broker,
    changes,
    changing,
    clear,
    fill,
    repeated,
    without_rules,
)
from tests.benchmarks.tables import RATIOS, Found, of_rounds, ratios
from tests.benchmarks.tasks import QUEUE

#: Orders of a block, and saves of one order: enough for a mean, and over before the machine changes its mind.
ORDERS = 20
SAVES = 100
PLAIN, AGAIN = "plain save", "plain save again (A/A)"
HAND, HAND_AGAIN = "by hand", "by hand again (A/A)"
HAND_SNAPSHOT, HAND_TEN = "by hand, status remembered at load", "by hand, ten .delay()"
ONE_RULE, TEN, UNCHANGED = "one rule", "one rule, ten actions", "watched field unchanged"
ONE_RULE_AT_LOAD, AT_LOAD = "one rule, old values at load", "unchanged, old values at load"
LIFECYCLE, WEBHOOK = "django-lifecycle", "django-webhook"
IDEAL = {
    "ideal: snapshot, row, message": models.IdealOutboxOrder,
    "ideal: snapshot, raw row": models.IdealRawOrder,
    "ideal: prebuilt SELECT, raw row": models.IdealSelectOrder,
}
NO_BROKER = Found(remarks=("  Left out: Redis was not found.",))


def statements(act: Callable[[], Any]) -> int:
    """Count what the block asks of the database, BEGIN and COMMIT too."""
    with CaptureQueriesContext(connection) as taken:
        act()
    return len(taken)


def unwatched_statements(scale: Scale) -> Found:
    """P1: what Django asks on its fast paths, with rules on another model."""
    without_rules()
    create_rule(models.OneRuleOrder, signals=["post_save", "pre_delete", "post_delete"], actions=[LOG])
    orders = models.Order.objects.filter(pk__in=fill(10))
    one, many, other = (models.Related.objects.create(name="r") for _ in range(3))
    hanging, _ = (models.Hanging.objects.create(related=row) for row in (one, other))
    models.Hanging.objects.bulk_create(models.Hanging(related=many) for _ in range(100))
    acts: tuple[Callable[[], Any], ...] = (
        hanging.delete,
        lambda: models.Hanging.objects.filter(related=many).delete(),
        lambda: models.Related.objects.filter(pk=other.pk).delete(),
        lambda: one.orders.add(*orders),
    )
    list(orders)
    with transaction.atomic():
        figures = {name: float(statements(act)) for name, act in zip(COUNTS, acts, strict=True)}
    without_rules()
    return Found(figures=figures)


def unwatched_save(scale: Scale) -> Found:
    """P2: a save, with no rules at all and with rules on another model."""
    without_rules()
    fill(1)
    order = models.Order.objects.get()
    create_rule(models.OneRuleOrder, changes=BECOMES_PAID, actions=[LOG])
    act, name = repeated(order, SAVES), "rules on another model"
    variants = {
        PLAIN: Variant(act, SAVES, before=reset),
        AGAIN: Variant(act, SAVES, before=reset),
        name: Variant(act, SAVES, before=refresh),
    }
    rounds = interleave(variants, scale.rounds(60))
    without_rules()
    return Found(*of_rounds(rounds, list(variants), PLAIN), {"save": rounds.ratio(name, PLAIN).middle})


def old_value(scale: Scale) -> Found:
    """P4: a save alone, where a rule asks what was before and does not match."""
    without_rules()
    fill(1)
    create_rule(models.OldValueOrder, changes=[{"field": "quantity", "from": -1}], actions=[LOG])
    create_rule(models.UnchangedOrder, changes=[{"field": "status"}], actions=[LOG])
    name = "the value before is another"
    classes = {
        PLAIN: models.Order,
        AGAIN: models.Order,
        name: models.OldValueOrder,
        UNCHANGED: models.UnchangedOrder,
    }
    orders = {name: model._default_manager.get() for name, model in classes.items()}
    rounds = interleave({name: Variant(repeated(row, SAVES), SAVES) for name, row in orders.items()}, scale.rounds(48))
    more = statements(repeated(orders[name], 1)) - statements(repeated(orders[PLAIN], 1))
    figures = {"old value read": rounds.ratio(name, PLAIN).middle, "statements more": float(more)}
    without_rules()
    return Found(*of_rounds(rounds, list(classes), PLAIN), figures)


def rules() -> None:
    """The rules of the two runs below."""
    without_rules()
    create_rule(models.OneRuleOrder, changes=BECOMES_PAID, condition=HAS_SOME, actions=[LOG])
    create_rule(models.OneRuleAtLoadOrder, changes=BECOMES_PAID, condition=HAS_SOME, actions=[LOG])
    create_rule(models.UnchangedAtLoadOrder, changes=[{"field": "email"}], actions=[LOG])
    create_rule(models.TenActionsOrder, changes=BECOMES_PAID, condition=HAS_SOME, actions=[LOG] * ACTIONS)
    create_rule(models.UnchangedOrder, changes=[{"field": "email"}], actions=[LOG])


def peers() -> dict[str, Any]:
    """The classes of those peers that are installed, ready to be saved."""
    found: dict[str, Any] = {}
    if "django_lifecycle" in settings.PEERS:
        found[LIFECYCLE] = models.LifecycleOrder
    if "django_webhook" in settings.PEERS:
        from django_webhook.models import Webhook, WebhookTopic, populate_topics_from_settings

        populate_topics_from_settings()
        topics = WebhookTopic.objects.filter(name="benchmarks.WebhookOrder/update")
        Webhook.objects.get_or_create(url="http://127.0.0.1:9/")[0].topics.set(topics)
        found[WEBHOOK] = models.WebhookOrder
    return found


@cache
def changed(status: str, scale: Scale) -> Rounds:
    """Get, change and save, in a transaction of its own: to "paid", which rules wait for, or to what none asks for.

    Without a broker those that need none: the engine's and the plain save, where no rule matches.
    """
    rules()
    keys = fill(ORDERS)
    variants = {name: changing(model, keys, status) for name, model in classes(status).items()}
    return interleave(variants, scale.rounds(32))


def classes(status: str) -> dict[str, Any]:
    """Return the classes that are put beside each other in such a run."""
    found: dict[str, Any] = {PLAIN: models.Order, AGAIN: models.Order, ONE_RULE: models.OneRuleOrder}
    if status != "paid":
        found |= {UNCHANGED: models.UnchangedOrder, AT_LOAD: models.UnchangedAtLoadOrder}
    if settings.REDIS_URL:
        found |= {HAND: models.HandOrder, HAND_AGAIN: models.HandOrder, HAND_SNAPSHOT: models.HandSnapshotOrder}
        found |= peers()
        if status == "paid":
            found |= {ONE_RULE_AT_LOAD: models.OneRuleAtLoadOrder}
            found |= {TEN: models.TenActionsOrder, HAND_TEN: models.HandTenOrder, **IDEAL}
    return found


def nothing_matches(scale: Scale) -> Found:
    """P3: the watched field is unchanged, or the constants of a rule rule a match out."""
    rounds = changed("held", scale)
    figures = {
        "watched field unchanged": rounds.ratio(UNCHANGED, PLAIN).middle,
        AT_LOAD: rounds.ratio(AT_LOAD, PLAIN).middle,
        "constants rule it out": rounds.ratio(ONE_RULE, PLAIN).middle,
    }
    keys = fill(1)
    clear()
    plain = statements(changes(models.Order, keys, "held"))
    compared = {
        "unchanged": models.UnchangedOrder,
        AT_LOAD: models.UnchangedAtLoadOrder,
        "constants": models.OneRuleOrder,
    }
    for name, model in compared.items():
        clear()
        figures[f"statements more, {name}"] = float(statements(changes(model, keys, "held")) - plain)
    shown = [name for name in (PLAIN, AGAIN, UNCHANGED, AT_LOAD, ONE_RULE, HAND, HAND_SNAPSHOT) if name in rounds.times]
    return Found(*of_rounds(rounds, shown, PLAIN), figures)


def matched(scale: Scale) -> Found:
    """P6: one rule matches; to the receiver by hand."""
    if not settings.REDIS_URL:
        return NO_BROKER
    rounds = changed("paid", scale)
    shown = [name for name in rounds.times if name not in (TEN, HAND_TEN, AGAIN)]
    head, rows = of_rounds(rounds, shown, HAND)
    rules()
    key, by_name = fill(1), classes("paid")
    rows = tuple((*row, *asked(by_name[name], key)) for name, row in zip(shown, rows, strict=True))
    return Found((*head, "statements", "messages"), rows, {"one rule": rounds.ratio(ONE_RULE, HAND).middle})


def asked(model: Any, key: list[Any]) -> tuple[str, str]:
    """Return how many statements a change to "paid" is, and how many messages."""
    changes(model, key, "warm")()
    clear()
    count = statements(changes(model, key, "paid"))
    hints.flush(FLUSH_SECONDS)
    client = broker()
    assert client is not None
    queues = (QUEUE, "celery", settings.RULES_ENGINE["QUEUE"])
    return str(count), str(sum(client.llen(queue) for queue in queues))


def ten_actions(scale: Scale) -> Found:
    """P7: ten actions of one match; to ten tasks by hand."""
    if not settings.REDIS_URL:
        return NO_BROKER
    rounds = changed("paid", scale)
    table = of_rounds(rounds, (HAND_TEN, TEN, HAND, ONE_RULE), HAND_TEN)
    return Found(*table, {"ten actions": rounds.ratio(TEN, HAND_TEN).middle})


def beside_peers(scale: Scale) -> Found:
    """P10: the same task, matched and not; to each peer."""
    if not settings.REDIS_URL:
        return NO_BROKER
    rows, figures = [], {}
    for label, status in (("matched", "paid"), ("not matched", "held")):
        rounds = changed(status, scale)
        for peer in (LIFECYCLE, WEBHOOK):
            if peer in rounds.times:
                figures[f"{label}, to {peer}"] = rounds.ratio(ONE_RULE, peer).middle
                times = [f"{rounds.seconds(name) * 1e6:,.0f}" for name in (ONE_RULE, peer)]
                rows.append((f"{label}, {peer}", *times, *ratios(rounds, ONE_RULE, peer)))
    missing = [name for name in (LIFECYCLE, WEBHOOK) if name.replace("-", "_") not in settings.PEERS]
    remarks = (f"  Left out: {', '.join(missing)} is not installed.",) if missing else ()
    return Found(("", "ours µs", "peer µs", *RATIOS), tuple(rows), figures, remarks)


if __name__ == "__main__":
    one_database.main(["--only", "P1,P2,P3,P4,P6,P7,P10", *sys.argv[1:]])
