"""``rules_triggers``: what is installed, what live rules need, and what is told while that changes."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from project.shop.models import Order
from rules_engine.context.actor import NOWHERE
from rules_engine.databases.triggers import triggers_of
from rules_engine.live.triggers import installing
from rules_engine.live.triggers.states import state_of
from rules_engine.models import CapturedChange, Event, InstalledTrigger, Rule
from rules_engine.testing import create_rule, refresh, run_due
from tests.factories import make_order
from tests.zoo.models import Animal, OldAnimal

pytestmark = pytest.mark.django_db(transaction=True)
Install = Callable[..., None]
LOG = [("log_message", {"message": "{{ instance.status }}"})]


def command(*arguments: str) -> str:
    out = StringIO()
    call_command("rules_triggers", *arguments, stdout=out)
    return out.getvalue()


def test_a_rule_that_needs_another_column_says_so_and_is_told_by_signals(install: Install) -> None:
    create_rule(model=Order, changes=[{"field": "status"}], actions=LOG)
    order = make_order()
    install(Order)
    assert command("check") == "shop.order: installed\n"
    create_rule(slug="total", model=Order, changes=[{"field": "total"}], actions=LOG)
    assert state_of(Order).state == "out_of_date"
    assert state_of(Order).columns == ("total",)
    assert state_of(Order).command == "manage.py rules_triggers install shop.order"
    with pytest.raises(CommandError, match=r"rules_triggers install shop\.order"):
        command("check")
    assert "shop.order: out of date (needs total)" in command("status")
    order.status, order.total = "paid", 5
    order.save()
    run_due()
    assert Event.objects.count() == 2
    assert command("install", "shop.order", "--grace", "0") == "shop.order: installed.\n"
    refresh()
    Order.objects.update(total=6)
    run_due()
    assert Event.objects.count() == 3
    assert state_of(Order).state == "installed"


def test_what_is_needed_no_more_is_named(install: Install) -> None:
    create_rule(model=Order, changes=[{"field": "status"}], actions=LOG)
    install(Order)
    Rule.objects.all().delete()
    refresh()
    assert state_of(Order).state == "no_longer_needed"
    assert "no longer needed" in command("check")


def test_triggers_that_somebody_dropped_are_missing_until_made_anew(install: Install) -> None:
    create_rule(model=Order, changes=[{"field": "status"}], actions=LOG)
    make_order()
    install(Order)
    row = InstalledTrigger.objects.get()
    triggers = triggers_of("default")
    assert triggers is not None
    triggers.run(triggers.removal("shop_order", row.names, "default"), "default")
    assert state_of(Order).state == "missing"
    with pytest.raises(CommandError):
        command("check")
    command("install", "shop.order", "--grace", "0")
    assert state_of(Order).state == "installed"
    assert command("install", "shop.order") == "shop.order: nothing to do.\n"


def test_after_removal_signals_tell_again_and_nothing_is_left(install: Install) -> None:
    create_rule(model=Order, changes=[{"field": "status"}], actions=LOG)
    order = make_order()
    install(Order)
    assert command("remove", "shop.order", "--grace", "0") == "shop.order: removed.\n"
    refresh()
    order.status = "paid"
    order.save()
    assert Event.objects.count() == 1
    assert not CapturedChange.objects.exists()
    assert not InstalledTrigger.objects.exists()
    triggers = triggers_of("default")
    assert triggers is not None
    assert triggers.installed("shop_order", "default") == frozenset()
    assert state_of(Order).state == "none"
    with pytest.raises(CommandError, match="No triggers are installed"):
        command("remove", "shop.order")


def test_what_waits_when_triggers_are_removed_is_told_still(install: Install) -> None:
    create_rule(model=Order, changes=[{"field": "status"}], actions=LOG)
    order = make_order()
    install(Order)
    Order.objects.update(status="paid")
    assert "removed. Captured changes that wait to be told: 1." in command("remove", "shop.order", "--grace", "0")
    assert InstalledTrigger.objects.get().names == []
    assert state_of(Order).state == "none"
    refresh()
    order.refresh_from_db()
    order.status = "shipped"
    order.save()
    assert Event.objects.count() == 1, "A signal tells it, as no trigger is there."
    run_due()
    told = [event.context["changes"]["status"]["new"] for event in Event.objects.order_by("id")]
    assert told == ["shipped", "paid"]
    assert not CapturedChange.objects.exists()
    assert command("remove", "shop.order", "--grace", "0") == "shop.order: removed.\n"
    assert not InstalledTrigger.objects.exists()


def test_triggers_are_installed_again_while_changes_of_the_former_wait(install: Install) -> None:
    create_rule(model=Order, changes=[{"field": "status"}], actions=LOG)
    make_order()
    install(Order)
    Order.objects.update(status="paid")
    command("remove", "shop.order", "--grace", "0")
    install(Order)
    Order.objects.update(status="shipped")
    assert state_of(Order).state == "installed"
    run_due()
    told = [event.context["changes"]["status"]["new"] for event in Event.objects.order_by("id")]
    assert told[-1] == "shipped"
    assert not CapturedChange.objects.exists()


def test_sql_is_printed_and_nothing_is_done() -> None:
    create_rule(model=Order, changes=[{"field": "status"}], actions=LOG)
    printed = command("install", "shop.order", "--sql")
    assert "CREATE TRIGGER" in printed
    assert "subtotal" not in printed
    assert not InstalledTrigger.objects.exists()


def test_the_sql_of_a_removal_is_printed_and_nothing_is_done(install: Install) -> None:
    create_rule(model=Order, changes=[{"field": "status"}], actions=LOG)
    install(Order)
    assert "DROP TRIGGER" in command("remove", "shop.order", "--sql")
    assert state_of(Order).state == "installed"


def test_a_printed_file_makes_what_the_command_would_have_made(install: Install) -> None:
    create_rule(model=Order, changes=[{"field": "status"}], actions=LOG)
    make_order()
    [capture] = installing.captures_for(Order)
    triggers = triggers_of("default")
    assert triggers is not None
    triggers.run(installing.definition_of(capture).statements, "default")
    assert command("install", "shop.order", "--grace", "0") == "shop.order: installed.\n"
    refresh()
    Order.objects.update(status="paid")
    assert CapturedChange.objects.filter(operation="update").count() == 1


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("shop.order", "No live rule on shop.order"),
        ("shop.ordr", "Did you mean|did you mean"),
        ("zoo.oldanimal", "No live rule on zoo.oldanimal"),
    ],
)
def test_what_cannot_be_installed_says_why(model: str, says: str) -> None:
    with pytest.raises(CommandError, match=says):
        command("install", model)


def test_a_rule_on_a_proxy_stays_with_signals_and_status_says_why(install: Install) -> None:
    create_rule(model=Animal, changes=[{"field": "name"}], actions=[("log_message", {"message": "x"})])
    create_rule(slug="old", model=OldAnimal, changes=[{"field": "name"}], actions=[("log_message", {"message": "x"})])
    install(Animal)
    animal = OldAnimal._default_manager.create(name="a")
    assert [event.model for event in Event.objects.all()] == ["zoo.animal"]
    run_due()
    assert Event.objects.count() == 2
    assert animal.pk


class TestWhileProcessesNotice:
    """Each change is told once, whatever the process that makes it has noticed of an installation."""

    @pytest.fixture
    def order(self) -> Order:
        create_rule(model=Order, changes=[{"field": "status"}], actions=LOG)
        return make_order()

    def _install(self, grace: float) -> None:
        [capture] = installing.captures_for(Order)
        installing.install(capture, grace=grace)

    def test_a_process_that_has_not_noticed_tells_by_signals_alone(self, install: Install, order: Order) -> None:
        Event.objects.all().delete()
        self._install(grace=60)
        order.status = "paid"
        order.save()
        assert CapturedChange.objects.count() == 1
        assert Event.objects.count() == 1
        run_due()
        assert not CapturedChange.objects.exists()
        assert Event.objects.count() == 1

    def test_a_process_that_has_noticed_leaves_it_to_the_triggers(self, install: Install, order: Order) -> None:
        Event.objects.all().delete()
        self._install(grace=60)
        refresh()
        order.status = "paid"
        order.save()
        assert Event.objects.count() == 0
        run_due()
        assert Event.objects.count() == 1

    def test_another_program_is_seen_from_the_end_of_that_time_on(self, install: Install, order: Order) -> None:
        Event.objects.all().delete()
        self._install(grace=60)
        refresh()
        connection.execute_wrappers.clear()
        Order.objects.update(status="paid")
        run_due()
        assert Event.objects.count() == 0
        InstalledTrigger.objects.update(since="2020-01-01T00:00:00Z")
        refresh()
        connection.execute_wrappers.clear()
        Order.objects.update(status="shipped")
        run_due()
        assert Event.objects.count() == 1

    def test_while_they_are_removed_each_change_is_told_once(self, install: Install, order: Order) -> None:
        install(Order)

        def meanwhile(seconds: float) -> None:
            # This process has not noticed, and leaves it to the triggers.
            order.status = "paid"
            order.save()
            run_due()
            assert Event.objects.count() == 1
            refresh()
            order.status = "shipped"
            order.save()
            assert Event.objects.count() == 2
            run_due()
            assert Event.objects.count() == 2

        assert installing.remove("shop.order", meanwhile, grace=60)
        assert not CapturedChange.objects.exists()


class TestWhileARuleChanges:
    """A rule that an edit moves from triggers to signals, or back, is told of each change once."""

    def test_what_was_left_to_triggers_is_told_by_them_after_the_edit(self, install: Install) -> None:
        rule = create_rule(model=Order, changes=[{"field": "status"}], actions=LOG)
        order = make_order()
        install(Order)
        order.status = "paid"
        order.save()
        Rule.objects.filter(pk=rule.pk).update(condition={"==": [{"var": "instance.total"}, 0]})
        refresh()
        assert state_of(Order).state == "out_of_date"
        run_due()
        assert Event.objects.count() == 1
        order.status = "shipped"
        order.save()
        run_due()
        assert Event.objects.count() == 2

    def test_what_signals_told_is_not_told_by_triggers_after_the_edit(self, install: Install) -> None:
        create_rule(model=Order, changes=[{"field": "status", "to": "cancelled"}], actions=LOG)
        install(Order)
        total = {"==": [{"var": "instance.total"}, 0]}
        rule = create_rule(model=Order, changes=[{"field": "status"}], condition=total, actions=LOG)
        order = make_order()
        assert Event.objects.count() == 1
        Rule.objects.filter(pk=rule.pk).update(condition=None)
        refresh()
        assert state_of(Order).state == "installed"
        run_due()
        assert Event.objects.count() == 1
        order.status = "paid"
        order.save()
        assert Event.objects.count() == 1
        run_due()
        assert Event.objects.count() == 2


def test_models_without_triggers_pay_nothing() -> None:
    create_rule(model=Order, changes=[{"field": "status"}], actions=LOG)
    make_order()
    assert connection.execute_wrappers == []
    assert NOWHERE.cause is None


def test_all_captures_every_column_and_every_write(install: Install) -> None:
    order = make_order()
    install(Order, whole=True)
    Order.objects.update(discount=1)
    assert CapturedChange.objects.count() == 1
    create_rule(model=Order, changes=[{"field": "discount"}], actions=LOG)
    assert state_of(Order).state == "installed"
    run_due()
    assert Event.objects.count() == 0, "It was changed before there was the rule."
    Order.objects.update(discount=2)
    order.delete()
    run_due()
    assert [event.context["changes"]["discount"]["new"] for event in Event.objects.all()] == ["2.00"]


def test_a_bad_answer_of_the_database_is_told_in_a_sentence(install: Install, monkeypatch: Any) -> None:
    create_rule(model=Order, changes=[{"field": "status"}], actions=LOG)
    monkeypatch.setattr(Order._meta, "db_table", "shop_gone")
    with pytest.raises(CommandError, match="there is no such table"):
        command("install", "shop.order")
