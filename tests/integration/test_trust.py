"""What a rule's author may counts at once, also for what acts in the process of a save."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.db import connection, transaction
from django.db.models import UUIDField
from django.test.utils import CaptureQueriesContext

from project.shop.models import Order
from rules_engine import testing
from rules_engine.live import authors
from rules_engine.models import Execution
from rules_engine.testing import create_rule
from tests.integration.admin.conftest import make_user
from tests.integration.noting import note

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("noted")]

MAY = ("shop.view_order", "shop.change_order")
VALUES = [{"field": "discount", "value": "7"}]


def give(author: Any, kind: str) -> None:
    """Make a rule of the author's that sets an order's discount, before the save or in its transaction."""
    if kind == "set_fields":
        create_rule(Order, signals=["pre_save"], actions=[("set_fields", {"fields": VALUES})], author=author)
    else:
        action = ("update_objects", {"values": VALUES}, {"timing": "in_transaction"})
        create_rule(Order, operations=["create"], actions=[action], author=author)


def discount(number: str) -> Any:
    order = Order.objects.create(order_number=number)
    order.refresh_from_db()
    return order.discount


def inactive(author: Any) -> None:
    type(author).objects.filter(pk=author.pk).update(is_active=False)


def another(author: Any) -> None:
    author.user_permissions.set([Permission.objects.get(codename=name) for name in ("view_order", "view_product")])


LOST: dict[str, Callable[[Any], Any]] = {
    "inactive": inactive,
    "no permission": lambda author: author.user_permissions.clear(),
    "another permission": another,
    "gone": lambda author: author.delete(),
}


@pytest.mark.parametrize("kind", ["set_fields", "update_objects"])
@pytest.mark.parametrize("how", LOST)
def test_a_lost_right_counts_at_the_next_save(kind: str, how: str) -> None:
    author = make_user(*MAY)
    give(author, kind)
    assert discount("A") == 7
    LOST[how](author)
    assert discount("B") == 0


@pytest.mark.parametrize("lost", ["of_the_group", "of_the_user"])
def test_a_right_by_a_group_is_lost_with_it(lost: str) -> None:
    author = make_user("shop.view_order")
    group = Group.objects.create(name="desk")
    group.permissions.set(Permission.objects.filter(codename__in=["change_order", "view_product"]))
    author.groups.add(group, Group.objects.create(name="others"))
    give(author, "set_fields")
    assert discount("A") == 7
    if lost == "of_the_group":
        group.permissions.remove(Permission.objects.get(codename="change_order"))
    else:
        author.groups.remove(group)
    assert discount("B") == 0


def test_a_right_that_is_given_counts_at_the_next_save() -> None:
    author = make_user("shop.view_order")
    give(author, "set_fields")
    assert discount("A") == 0
    assert "shop.change_order" in Execution.objects.get().error
    author.user_permissions.add(Permission.objects.get(codename="change_order"))
    assert discount("B") == 7


@pytest.mark.parametrize("seconds", [-1.0, 3600.0])
def test_what_a_sites_own_backend_says_is_kept_for_its_time(
    settings: Any, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    settings.AUTHENTICATION_BACKENDS = [f"{__name__}.Backend"]
    monkeypatch.setattr(authors, "TRUST_SECONDS", seconds)
    give(make_user(), "set_fields")
    assert discount("A") == 7
    monkeypatch.setattr(Backend, "granted", False)
    assert discount("B") == (0 if seconds < 0 else 7)


class Backend:
    """Says what it has said of a user as long as it is asked of the same one, as Django's own does."""

    granted = True

    def has_perm(self, user: Any, permission: str, obj: Any = None) -> bool:
        known: bool = user.__dict__.setdefault("granted", self.granted)
        return known


@pytest.mark.parametrize("how", LOST)
def test_grants_whose_keys_are_no_numbers_are_asked_for_each_time(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # A custom group of a site's own may have a UUID for its key, as no model of these tests has.
    monkeypatch.setattr(authors, "IntegerField", UUIDField)
    author = make_user(*MAY)
    give(author, "set_fields")
    assert discount("A") == 7
    LOST[how](author)
    assert discount("B") == 0


def statements(author: Any, actions: int) -> list[str]:
    """Return what a save asks of users, permissions and groups, beside the second time that is the same author's."""
    action = [note(str(n), timing="in_transaction") for n in range(actions)]
    create_rule(Order, actions=action, author=author)
    Order.objects.create(order_number="first")
    with transaction.atomic(), CaptureQueriesContext(connection) as queries:
        Order.objects.create(order_number="second")
    return [query["sql"] for query in queries if "accounts_user" in query["sql"].split("WHERE")[0]]


def test_one_statement_a_save_asks_whether_the_author_still_may() -> None:
    assert len(statements(make_user(*MAY), actions=3)) == 1


def test_a_rule_of_the_operator_asks_nothing_of_authors() -> None:
    assert statements(None, actions=3) == []


@pytest.mark.parametrize("may", [True, False])
def test_reset_forgets_what_authors_may(may: bool) -> None:
    # Of the other test's author, who has this one's key, nothing is left: the plugin has forgotten it, too.
    author = make_user("shop.view_order", *(["shop.change_order"] if may else []), pk=4711)
    give(author, "set_fields")
    assert discount("A") == (7 if may else 0)
    assert authors.trusted._known
    testing.reset()
    assert not authors.trusted._known
