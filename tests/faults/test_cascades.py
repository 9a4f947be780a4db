"""Rules that set off rules come to an end, and what happened can be read afterwards."""

from __future__ import annotations

import threading
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import Sum

from project.shop.models import Category, Order, OrderItem, Tag
from rules_engine.context.actor import Cause, caused_by
from rules_engine.models import Event, Execution, Rule, RuleAction, RuleError
from rules_engine.rules.cascades import analyse
from rules_engine.testing import create_rule, refresh, run_due
from tests.factories import order_with_items
from tests.faults.workers import Crew
from tests.threads import run_together

pytestmark = pytest.mark.django_db(transaction=True)

WORKERS = 3
LEVELS = 10


def create(model: str, name: str) -> tuple[str, dict[str, Any]]:
    return "create_object", {"model": model, "values": [{"field": "name", "value": name}]}


def recalculating() -> tuple[str, dict[str, Any]]:
    """S03: the order's total from its items."""
    rows = {"var": "row.items"}
    each = {"*": [{"var": "current.quantity"}, {"var": "current.unit_price"}]}
    total = {"reduce": [rows, {"+": [{"var": "accumulator"}, each]}, 0]}
    values = [{"field": "subtotal", "value": total}, {"field": "total", "value": total}]
    return "update_objects", {"target": "order", "values": values}


def all_ended() -> bool:
    return not Execution.objects.live().exists()


def counts_agree() -> bool:
    """What the events say they led to is what is there."""
    return Event.objects.aggregate(total=Sum("execution_count"))["total"] == Execution.objects.count()


def test_a_cascade_of_a_thousand_levels_is_stopped_at_the_depth_limit() -> None:
    rules = [
        Rule(
            slug=f"level-{n}",
            name=f"Level {n}",
            model="shop.category",
            signals=["post_save"],
            condition={"==": [{"var": "instance.name"}, f"c{n}"]},
        )
        for n in range(1000)
    ]
    Rule.objects.bulk_create(rules)
    actions = []
    for n, rule in enumerate(Rule.objects.order_by("pk")):
        kind, config = create("shop.category", f"c{n + 1}")
        actions.append(RuleAction(rule=rule, position=0, kind=kind, config=config))
    RuleAction.objects.bulk_create(actions)
    refresh()
    Category.objects.create(name="c0")
    assert run_due() == 9
    assert Category.objects.count() == 10
    events = list(Event.objects.order_by("depth"))
    assert [event.depth for event in events] == list(range(10))
    assert {event.root_id for event in events} == {events[0].pk}
    # Each event names the execution that caused it, and that one the event before.
    for before, after in pairwise(events):
        assert Execution.objects.get(pk=after.cause_id).event_id == before.pk
    [error] = RuleError.objects.all()
    assert (error.rule_slug, error.event_id) == ("level-9", events[-1].pk)
    assert "9 levels deep" in error.message
    assert "MAX_DEPTH" in error.message
    assert counts_agree()


def test_two_rules_in_ping_pong_stop() -> None:
    create_rule(Category, slug="ping", actions=[create("shop.tag", "{{ event.id }}")])
    create_rule(Tag, slug="pong", actions=[create("shop.category", "{{ event.id }}")])
    assert analyse(Rule.objects.all().specs()).loops() == [("ping", "pong")]
    Category.objects.create(name="first")
    assert run_due(limit=100) == 9
    assert Category.objects.count() + Tag.objects.count() == 10
    assert RuleError.objects.count() == 1


def test_ping_pong_that_changes_nothing_any_more_comes_to_rest_by_itself() -> None:
    create_rule(Tag, slug="ping", actions=[("update_objects", {"values": [{"field": "product_count", "value": "5"}]})])
    create_rule(Tag, slug="pong", actions=[("update_objects", {"values": [{"field": "product_count", "value": "5"}]})])
    Tag.objects.create(name="first")
    assert run_due(limit=100) == 3
    assert not RuleError.objects.exists()
    # It can be a loop all the same, and is told as one.
    assert analyse(Rule.objects.all().specs()).loops() == [("ping", "pong")]


def test_a_rule_does_not_set_off_itself() -> None:
    create_rule(Category, slug="again", actions=[create("shop.category", "{{ event.id }}")])
    Category.objects.create(name="first")
    assert run_due(limit=100) == 1
    assert Category.objects.count() == 2
    assert not RuleError.objects.exists()


def fan_out(width: int = 10) -> None:
    """Each category makes so many tags, each tag so many categories, for as many levels as there may be."""
    slug = "{{ event.id }} "
    create_rule(Category, slug="tags", actions=[create("shop.tag", f"{slug}{n}") for n in range(width)])
    create_rule(Tag, slug="categories", actions=[create("shop.category", f"{slug}{n}") for n in range(width)])


@pytest.mark.parametrize("budget", [5, 10, 300, 305])
def test_a_fan_out_of_ten_to_the_tenth_is_stopped_at_the_budget(budget: int, settings: Any) -> None:
    settings.RULES_ENGINE = {"MAX_DEPTH": LEVELS, "ROOT_BUDGET": budget}
    fan_out()
    Category.objects.create(name="first")
    ran = run_due(limit=2000)
    # What comes from outside is never limited; after that an event has all of its executions or none.
    assert ran == Execution.objects.count() == max(10, budget - budget % 10)
    assert Category.objects.count() + Tag.objects.count() == ran + 1
    assert Execution.objects.exclude(state="succeeded").count() == 0
    stopped = RuleError.objects.filter(message__contains="ROOT_BUDGET")
    assert {error.rule_slug for error in stopped} <= {"tags", "categories"}
    assert stopped.exists()
    assert RuleError.objects.count() == stopped.count()
    assert counts_agree()


def test_an_action_that_saves_many_is_stopped_and_says_so_once(settings: Any) -> None:
    settings.RULES_ENGINE = {"ROOT_BUDGET": 300}
    every = [{"field": "pk__isnull", "value": "false"}]
    config = {"target": "query", "model": "shop.tag", "filter": every}
    Tag.objects.bulk_create([Tag(name=f"t{n}") for n in range(400)])
    create_rule(Category, slug="touch", actions=[("update_objects", config)])
    create_rule(Tag, slug="told", actions=[("log_message", {"message": "x"})])
    Category.objects.create(name="first")
    with connection.execute_wrapper(counting := Counting()):
        assert run_due(limit=1) == 1
    assert Execution.objects.filter(rule_slug="told").count() == 299
    assert RuleError.objects.count() == 1
    assert Event.objects.count() == 1 + 299 + 1
    # Once for each hundredth of the budget, and not for each of the 400.
    assert 0 < counting.times <= 80
    assert run_due() == 299
    assert counts_agree()


class Counting:
    """Counts the statements that add up a chain."""

    times = 0

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        self.times += "SUM" in sql and "execution_count" in sql
        return execute(sql, params, many, context)


def test_workers_at_once_pass_the_budget_by_what_runs_at_that_moment(crew: Crew) -> None:
    budget = 150
    fan_out()
    Category.objects.create(name="first")
    for _ in range(WORKERS):
        crew.start(solo=True, ready=False, MAX_DEPTH=LEVELS, ROOT_BUDGET=budget)
    for worker in crew.workers:
        worker.wait_until_ready()
    crew.eventually(all_ended)
    made = Execution.objects.count()
    assert budget <= made <= budget + (WORKERS - 1) * 10
    assert not Execution.objects.exclude(state="succeeded").exists()
    assert Category.objects.count() + Tag.objects.count() == made + 1
    assert RuleError.objects.filter(message__contains="ROOT_BUDGET").exists()
    assert counts_agree()


@pytest.mark.row_locks
def test_transactions_blind_to_each_other_add_one_budget_each(settings: Any) -> None:
    """The worst case: each action looks before any of the others has committed."""
    settings.RULES_ENGINE = {"ROOT_BUDGET": 10}
    create_rule(Category, slug="first", actions=[("log_message", {"message": "x"})])
    create_rule(Tag, slug="told", actions=[("log_message", {"message": "x"})])
    Category.objects.create(name="first")
    root = Event.objects.get()
    together = threading.Barrier(WORKERS)

    def act(number: int) -> None:
        with transaction.atomic(), caused_by(Cause(root.pk, 0, "first")):
            for n in range(20):
                Tag.objects.create(name=f"{number} {n}")
            together.wait(30)

    run_together(WORKERS, act)
    assert Tag.objects.count() == 20 * WORKERS
    assert Execution.objects.filter(rule_slug="told").count() == 9 * WORKERS
    assert RuleError.objects.count() == WORKERS
    # What comes after them sees it all.
    with caused_by(Cause(root.pk, 0, "first")):
        Tag.objects.create(name="later")
    assert Execution.objects.filter(rule_slug="told").count() == 9 * WORKERS


def test_a_total_and_its_items_settle_with_the_right_end_state() -> None:
    order = order_with_items((2, "9.95"), (2, "9.95"))
    create_rule(OrderItem, slug="s03", actions=[recalculating()])
    # S11: whatever becomes of the order, its items are saved again.
    create_rule(Order, slug="touch", actions=[("update_objects", {"target": "items"})])
    item = order.items.first()
    item.quantity = 5
    item.save()
    ran = run_due(limit=500)
    assert ran < 500
    order.refresh_from_db()
    assert order.total == order.subtotal == 7 * Decimal("9.95")
    assert all_ended()
    assert not Execution.objects.exclude(state="succeeded").exists()
    assert not RuleError.objects.exists(), "it came to rest by itself"
    assert analyse(Rule.objects.all().specs()).loops() == [("s03", "touch")]
    # And again, when nothing differs any more.
    Execution.objects.all().delete()
    item.save()
    assert run_due(limit=500) <= 1
    assert OrderItem.objects.filter(quantity=5).count() == 1


def test_an_order_and_items_in_an_endless_loop_stop_with_nothing_lost() -> None:
    order = order_with_items((2, "9.95"), (2, "9.95"))
    adding = {"values": [{"field": "quantity", "value": "1", "how": "increment"}], "target": "items"}
    create_rule(OrderItem, slug="s03", actions=[recalculating()])
    create_rule(Order, slug="more", actions=[("update_objects", adding)])
    order.items.first().save()
    order.refresh_from_db()
    run_due()  # ends
    order.refresh_from_db()
    assert all_ended()
    assert not Execution.objects.exclude(state="succeeded").exists()
    # The chain was cut where the next one would have acted, so items may be one step ahead of the total; the next
    # save from outside brings them together.
    assert RuleError.objects.filter(message__contains="MAX_DEPTH").exists()
    Rule.objects.filter(slug="more").delete()
    refresh()
    order.items.first().save()
    run_due()
    order.refresh_from_db()
    assert order.total == sum(item.quantity * item.unit_price for item in order.items.all())


@pytest.mark.postgres("its plan is told in its words")
def test_the_budget_is_added_up_from_the_index_of_one_chain(transactional_db: None) -> None:
    first = Event.objects.create(signal="x", occurred_at="2026-01-01T00:00:00Z", root_id="0" * 32, execution_count=1)
    rows = [
        Event(signal="x", occurred_at=first.occurred_at, root_id=first.pk if n % 2 else first.root_id, depth=1)
        for n in range(4000)
    ]
    others = [Event(signal="x", occurred_at=first.occurred_at, root_id=Event().pk) for _ in range(16000)]
    Event.objects.bulk_create([*rows, *others], batch_size=2000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE rules_engine_event")
    plan = Event.objects.filter(root_id=first.pk).order_by().values("root_id").annotate(n=Sum("execution_count"))
    assert "rules_event_chain" in plan.explain()
    assert "Seq Scan" not in plan.explain()
