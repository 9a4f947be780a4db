"""The command ``rules_run``: a rule run on what is there, from a terminal."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.core.management import CommandError, call_command

from project.accounts.models import User
from project.shop.models import Order
from rules_engine.management.commands import rules_run
from rules_engine.models import Event, Execution, Run
from rules_engine.testing import create_rule, run_due
from tests.factories import make_order

pytestmark = pytest.mark.django_db(transaction=True)

PAID = {"==": [{"var": "instance.status"}, "paid"]}
LOG = ("log_message", {"message": "{{ instance.order_number }}"})


def said_by(*arguments: Any) -> str:
    out = io.StringIO()
    call_command("rules_run", *map(str, arguments), stdout=out)
    return out.getvalue().strip()


def stored(*statuses: str) -> list[Order]:
    Order.objects.bulk_create([Order(order_number=str(n), status=status) for n, status in enumerate(statuses)])
    return list(Order.objects.order_by("pk"))


def test_it_counts_exactly_and_does_nothing() -> None:
    orders = stored("paid", "pending", "paid")
    create_rule(Order, slug="tell", condition=PAID, actions=[LOG])
    assert said_by("tell", "--dry-run") == "It would act on 2 objects."
    assert said_by("tell", "--dry-run", "--keys", orders[0].pk, orders[1].pk) == "It would act on 1 object."
    assert not Run.objects.exists()
    assert not Event.objects.exists()


def test_it_tells_the_rule_here_and_leaves_its_actions_to_workers() -> None:
    stored("paid", "pending", "paid")
    create_rule(Order, slug="tell", condition=PAID, actions=[LOG])
    assert said_by("tell", "--here") == "It matched 2 objects of 2."
    assert set(Execution.objects.values_list("state", flat=True)) == {"pending"}
    run_due()
    assert set(Execution.objects.values_list("summary", flat=True)) == {"Logged: 0", "Logged: 2"}


def test_it_runs_on_some_keys_in_the_name_of_a_user() -> None:
    _first, second = stored("paid", "paid")
    create_rule(Order, slug="tell", actions=[LOG])
    user = User.objects.create(username="ada")
    with pytest.raises(CommandError, match=r"lacks the permission rules_engine\.run_rule"):
        said_by("tell", "--user", "ada")
    codenames = ("run_rule", "view_order")
    user.user_permissions.add(*Permission.objects.filter(codename__in=codenames))
    assert said_by("tell", "--keys", second.pk, "--user", "ada", "--here") == "It matched 1 object of 1."
    event = Event.objects.get()
    assert (event.object_pk, event.actor_name) == (str(second.pk), "ada")


def test_it_begins_one_and_does_not_wait() -> None:
    stored("paid")
    create_rule(Order, slug="tell", actions=[LOG])
    assert said_by("tell", "--no-wait") == f"Workers run it on 1 object: {Run.objects.get().pk}"
    assert Run.objects.get().state == "waiting"


def test_it_waits_for_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    stored("paid")
    create_rule(Order, slug="tell", actions=[LOG])
    monkeypatch.setattr(rules_run.time, "sleep", lambda _seconds: run_due())
    assert said_by("tell") == "It matched 1 object of 1."


def test_what_cannot_be_run_and_what_fails_is_an_error_in_words() -> None:
    stored("paid")
    create_rule(Order, slug="tell", actions=[LOG])
    with pytest.raises(CommandError, match=r'no rule tel that is switched on\. Did you mean "tell"'):
        said_by("tel")
    with pytest.raises(CommandError, match="no key"):
        said_by("tell", "--keys", "x")
    with pytest.raises(CommandError, match="no key"):
        said_by("tell", "--keys", "x", "--dry-run")
    with pytest.raises(CommandError, match="no user"):
        said_by("tell", "--user", "\x1b[31mnobody")
    create_rule(Order, slug="off", enabled=False, actions=[LOG])
    with pytest.raises(CommandError, match="switched on"):
        said_by("off")
    create_rule(
        Order, slug="fails", condition={">": [{"*": [{"var": "instance.order_number"}, "x"]}, 1]}, actions=[LOG]
    )
    with pytest.raises(CommandError, match="1 object failed"):
        said_by("fails", "--here")


def test_a_run_that_is_cancelled_while_somebody_waits_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    make_order()
    create_rule(Order, slug="tell", actions=[LOG])
    monkeypatch.setattr(
        rules_run.time, "sleep", lambda _seconds: rules_run.telling.Run.objects.update(state="cancelled")
    )
    with pytest.raises(CommandError, match="before it was cancelled"):
        said_by("tell")
