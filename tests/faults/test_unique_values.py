"""S04 under concurrency: many connections save objects of one name at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.db.models import Model
from django.db.models.signals import pre_save

from project.shop.models import Product
from rules_engine.databases import postgresql
from rules_engine.models import Execution
from rules_engine.testing import create_rule
from tests import sessions
from tests.threads import run_together
from tests.zoo.models import Plaque

pytestmark = pytest.mark.django_db(transaction=True)

SAVERS = 20
#: Who waits for a transaction that stays open is stopped by the server, and the test fails.
NO_WAITING = "SELECT set_config('statement_timeout', '30s', false), set_config('lock_timeout', '10s', false)"


@pytest.fixture(autouse=True)
def _rules() -> None:
    for model, source in ((Product, "name"), (Plaque, "title")):
        row = {"field": "slug", "value": f"{{{{ instance.{source}|slugify }}}}", "unique": True}
        create_rule(model=model, signals=["pre_save"], actions=[("set_fields", {"fields": [row]})])


def product(name: str = "Chair") -> str:
    return Product.objects.create(name=name, price=1).slug


def plaque(title: str) -> str:
    return Plaque.objects.create(title=title).slug or ""


#: Each test names its plaques as no other does: MariaDB has savers wait for one who stores a deleted value anew
#: (``findings/mariadb_insert_waits_beside_deleted.sh``).
BOTH = pytest.mark.parametrize("kind", [product, plaque], ids=["without a constraint", "with a constraint"])


def in_transaction(save: Callable[[], str]) -> str:
    with transaction.atomic():
        return save()


def execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def at_once(savers: list[Callable[[], str]]) -> list[str]:
    """What each saver returns, each on a connection of its own, all let go together."""

    def run(number: int) -> str:
        if connection.vendor == "postgresql":
            execute(NO_WAITING)
        return savers[number]()

    return run_together(len(savers), run)


@contextmanager
def held_open(save: Callable[[], Any]) -> Iterator[None]:
    """Another connection has done this in a transaction that is still open."""
    done, end = threading.Event(), threading.Event()

    def hold() -> None:
        try:
            with transaction.atomic():
                save()
                done.set()
                end.wait(60)
        finally:
            done.set()
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(hold)
        assert done.wait(60)
        try:
            yield
        finally:
            end.set()
        future.result(60)


@contextmanager
def meeting_before_the_insert(model: type[Model]) -> Iterator[None]:
    """Nobody's row is stored before everybody has his slug: a receiver of the site's own, called after ours."""
    gate = threading.Barrier(SAVERS)

    def meet(**_: Any) -> None:
        gate.wait(30)

    pre_save.connect(meet, sender=model)
    try:
        yield
    finally:
        pre_save.disconnect(meet, sender=model)


WAYS = {
    "autocommit": lambda save, n: save,
    "transactions": lambda save, n: lambda: in_transaction(save),
    "both": lambda save, n: save if n % 2 else lambda: in_transaction(save),
}


@BOTH
@pytest.mark.parametrize("way", WAYS)
def test_twenty_saves_at_once_get_twenty_slugs(way: str, kind: Callable[[str], str]) -> None:
    save, model = partial(kind, f"Chair {way}"), Product if kind is product else Plaque
    # SQLite has one transaction at a time, so there they cannot all be in the middle of one.
    together = connection.vendor != "sqlite" or way == "autocommit"
    with meeting_before_the_insert(model) if together else nullcontext():
        made = at_once([WAYS[way](save, n) for n in range(SAVERS)])
    assert len(set(made)) == SAVERS
    assert set(model.objects.values_list("slug", flat=True)) == set(made), "a save was lost"
    assert all(slug.startswith("chair") for slug in made)
    assert set(Execution.objects.values_list("state", flat=True)) == {"succeeded"}


@BOTH
@pytest.mark.row_locks
def test_nobody_waits_for_a_transaction_that_stays_open(kind: Callable[[str], str]) -> None:
    save, model = partial(kind, "Sofa"), Product if kind is product else Plaque
    with held_open(save):
        made = at_once([WAYS["both"](save, n) for n in range(SAVERS)])
    assert "sofa" not in made
    assert sorted([*made, "sofa"]) == sorted(model.objects.values_list("slug", flat=True))
    assert len(set(made)) == SAVERS


@pytest.mark.row_locks
def test_transactions_that_all_stay_open_together_get_slugs_of_their_own() -> None:
    together = threading.Barrier(SAVERS)

    def save_and_stay() -> str:
        with transaction.atomic():
            made = product()
            together.wait(30)
            return made

    made = at_once([save_and_stay] * SAVERS)
    assert sorted(made) == sorted(["chair", *(f"chair-{n}" for n in range(2, SAVERS + 1))])


@pytest.mark.row_locks
def test_a_transaction_that_sees_its_beginning_takes_no_later_value() -> None:
    begun, stored = threading.Event(), threading.Event()

    def repeatable() -> str:
        sessions.read_repeatably()
        with transaction.atomic():
            Product.objects.count()
            begun.set()
            assert stored.wait(60)
            return product()

    def others() -> str:
        assert begun.wait(60)
        try:
            return f"{product()} {in_transaction(product)} {in_transaction(product)}"
        finally:
            stored.set()

    late, early = at_once([repeatable, others])
    assert early == "chair chair-2 chair-3"
    assert late == "chair-4"


@pytest.mark.row_locks
def test_a_savepoint_that_is_rolled_back_gives_its_slug_back() -> None:
    with transaction.atomic():
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            product()
            raise ZeroDivisionError
        assert at_once([product]) == ["chair"]


@pytest.mark.postgres("elsewhere these locks are rows, of which there may be many")
def test_an_import_takes_a_bounded_share_of_the_servers_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgresql, "MOST_LOCKS", 5)
    question = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"

    def import_many() -> None:
        for _ in range(30):
            product()
        with connection.cursor() as cursor:
            cursor.execute(question)
            held.append(cursor.fetchone()[0])

    held: list[int] = []
    with held_open(import_many):
        made = at_once([WAYS["both"](product, n) for n in range(SAVERS)])
    assert held == [5]
    everything = list(Product.objects.values_list("slug", flat=True))
    assert len(set(everything)) == len(everything) == 30 + SAVERS
    assert set(made) < set(everything)


@pytest.mark.postgres("elsewhere a statement has its own, which leaves the session's")
def test_a_transaction_keeps_its_own_lock_timeout() -> None:
    with transaction.atomic():
        execute("SET LOCAL lock_timeout = '7s'")
        product()
        with connection.cursor() as cursor:
            cursor.execute("SHOW lock_timeout")
            assert cursor.fetchone() == ("7s",)


@pytest.mark.row_locks
def test_a_caller_that_manages_its_transaction_by_hand_is_served_too() -> None:
    connection.set_autocommit(False)
    try:
        product()
        with ExitStack() as later:
            later.callback(connection.commit)
            assert at_once([product]) == ["chair-2"]
    finally:
        connection.set_autocommit(True)
    assert sorted(Product.objects.values_list("slug", flat=True)) == ["chair", "chair-2"]
