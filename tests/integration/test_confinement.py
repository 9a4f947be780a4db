"""Nothing of ours spoils the caller's work: no read that fails, no rule's fault, nothing that waits on an instance."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import IntegrityError, OperationalError, connection, models, transaction
from django.db.models.signals import post_save, pre_save
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils.functional import SimpleLazyObject

from rules_engine.context.actor import in_request
from rules_engine.live import cache, faults
from rules_engine.models import Event, Rule, RuleError
from rules_engine.outbox import writing
from rules_engine.testing import create_rule, refresh
from tests.zoo.models import Animal, Dog, Keeper, Tag

pytestmark = pytest.mark.django_db(transaction=True)

LOG = [("log_message", {"message": "x"})]


@contextmanager
def without_column(model: type[models.Model], column: str) -> Iterator[None]:
    """A migration that this process has not heard of took the column away: each SELECT of it fails."""
    _rename(model, column, f"{column}_gone")
    try:
        yield
    finally:
        _rename(model, f"{column}_gone", column)


def _rename(model: type[models.Model], old: str, new: str) -> None:
    with connection.cursor() as cursor:
        table, *columns = map(connection.ops.quote_name, (model._meta.db_table, old, new))
        cursor.execute(f"ALTER TABLE {table} RENAME COLUMN {' TO '.join(columns)}")


@contextmanager
def failing_reads(model: type[models.Model], column: str) -> Iterator[None]:
    """A transaction in which a read of the column fails, and which goes on and commits all the same."""
    before = _troubles()
    with without_column(model, column), transaction.atomic():
        yield
        Tag.objects.create(name="what the caller does next")
    assert Tag.objects.filter(name="what the caller does next").exists()
    assert _troubles() > before, "no read failed, so nothing was shown"


def _troubles() -> int:
    return faults.of_process.total + RuleError.objects.count()


@contextmanager
def connected(signal: Any, receiver: Callable[..., None]) -> Iterator[None]:
    """A receiver of the caller's own, after ours."""
    signal.connect(receiver, sender=Animal)
    try:
        yield
    finally:
        signal.disconnect(receiver, sender=Animal)


def test_a_failed_read_of_an_old_value_leaves_the_transaction_usable() -> None:
    condition = {"!=": [{"var": "old.notes"}, {"var": "instance.legs"}]}
    create_rule(model=Animal, operations=["update"], condition=condition, actions=LOG)
    animal = Animal.objects.create(name="a")
    with failing_reads(Animal, "notes"):
        animal.legs = 3
        animal.save(update_fields=["legs"])
    assert Animal.objects.get().legs == 3


def test_a_failed_read_of_an_inherited_old_value_spoils_no_transaction() -> None:
    condition = {"!=": [{"var": "old.notes"}, {"var": "instance.breed"}]}
    create_rule(model=Dog, operations=["update"], condition=condition, actions=LOG)
    dog = Dog.objects.create(name="d")
    with failing_reads(Animal, "notes"):
        dog.breed = "b"
        dog.save(update_fields=["breed"])
    assert Dog.objects.values_list("breed", flat=True).get() == "b"


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite takes a quoted name of no column for a text")
def test_a_failed_read_of_a_deferred_value_leaves_the_transaction_usable() -> None:
    create_rule(model=Animal, operations=["update"], condition={"==": [{"var": "instance.notes"}, "z"]}, actions=LOG)
    Animal.objects.create(name="a")
    animal = Animal.objects.defer("notes").get()
    with failing_reads(Animal, "notes"):
        animal.legs = 3
        animal.save(update_fields=["legs"])
    assert Animal.objects.get().legs == 3


def test_a_failed_read_of_related_rows_leaves_the_transaction_usable() -> None:
    condition = {"==": [{"length": {"var": "instance.animals"}}, 1]}
    create_rule(model=Keeper, operations=["update"], condition=condition, actions=LOG)
    keeper = Keeper.objects.create(name="k")
    with failing_reads(Animal, "notes"):
        keeper.name = "stored"
        keeper.save()
    assert Keeper.objects.get().name == "stored"


def test_a_failed_count_of_related_rows_leaves_the_transaction_usable() -> None:
    condition = {">": [{"var": "instance.animals__legs__sum"}, 1]}
    create_rule(model=Keeper, operations=["update"], condition=condition, actions=LOG)
    keeper = Keeper.objects.create(name="k")
    with failing_reads(Animal, "legs"):
        keeper.name = "stored"
        keeper.save()
    assert Keeper.objects.get().name == "stored"


def test_a_failed_read_of_a_relations_other_side_spoils_no_transaction() -> None:
    create_rule(model=Animal, signals=["m2m_changed"], actions=LOG)
    animal, tag = Animal.objects.create(name="a"), Tag.objects.create(name="t")
    with failing_reads(Animal, "notes"):
        tag.animals.add(animal.pk)
    assert list(animal.tags.all()) == [tag]


def test_a_user_who_cannot_be_loaded_leaves_the_transaction_usable() -> None:
    create_rule(model=Animal, actions=LOG)
    user = get_user_model().objects.create_user("kim")
    request = RequestFactory().get("/")
    request.user = SimpleLazyObject(lambda: get_user_model().objects.get(pk=user.pk))
    with in_request(request), without_column(get_user_model(), "cv"), transaction.atomic():
        Animal.objects.create(name="a")
        Animal.objects.create(name="b")
    assert Animal.objects.count() == 2
    assert set(Event.objects.values_list("actor_name", flat=True)) <= {"<ProgrammingError>", "<OperationalError>"}


def test_a_rule_whose_read_fails_takes_no_other_rule_along() -> None:
    create_rule(model=Animal, slug="good", actions=LOG)
    create_rule(model=Animal, slug="bad", condition={"==": [{"var": "instance.keeper.name"}, "x"]}, actions=LOG)
    keeper = Keeper.objects.create(name="k")
    with without_column(Keeper, "name"):
        Animal.objects.create(name="a", keeper_id=keeper.pk)
    [event] = Event.objects.all()
    assert {one["rule"]: one["outcome"] for one in event.evaluations} == {"good": "matched", "bad": "error"}


def test_a_pre_save_event_that_cannot_be_written_silences_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    create_rule(model=Animal, signals=["pre_save"], actions=LOG)
    create_rule(model=Animal, actions=LOG)
    real = writing.record

    def record(event: Any, *others: Any, **more: Any) -> None:
        if event.signal == "pre_save":
            raise RuntimeError("this one cannot be written")
        real(event, *others, **more)

    monkeypatch.setattr(writing, "record", record)
    before = faults.of_process.total
    Animal.objects.create(name="a")
    assert [event.signal for event in Event.objects.all()] == ["post_save"]
    assert faults.of_process.total == before + 1


@pytest.mark.skipif(connection.vendor == "postgresql", reason="PostgreSQL ends no transaction by itself")
def test_a_caller_whose_transaction_the_database_has_undone_is_told() -> None:
    create_rule(Animal, actions=[("log_message", {"message": "x"})])
    deadlock = OperationalError(1213, "Deadlock found when trying to get lock; try restarting transaction")
    executions = connection.ops.quote_name("rules_engine_execution")

    def end(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        """As MySQL does at a deadlock, and SQLite where its disk is full: it is back where the transaction began."""
        if sql.startswith(f"INSERT INTO {executions}"):
            connection.connection.rollback()
            raise deadlock if connection.vendor == "mysql" else OperationalError("database or disk is full")
        return execute(sql, *rest)

    with pytest.raises(OperationalError), connection.execute_wrapper(end), transaction.atomic():
        Animal.objects.create(name="what is undone")
    assert not Animal.objects.exists()
    with connection.execute_wrapper(end):
        Animal.objects.create(name="what was committed before")
    assert Animal.objects.get().name == "what was committed before"


def test_a_rule_that_cannot_be_tried_fills_no_table() -> None:
    rule = create_rule(model=Animal, operations=["update"], changes=[{"field": "name"}], actions=LOG)
    Rule.objects.filter(pk=rule.pk).update(changes=[{"field": "gone"}])
    refresh()
    animals = [Animal.objects.create(name=str(n)) for n in range(3)]
    assert not RuleError.objects.exists(), "it is not for creations, whatever is wrong with it"
    for animal in animals:
        animal.save()
    assert (Event.objects.count(), RuleError.objects.count()) == (1, 1)


def test_an_instance_can_be_pickled_in_the_callers_own_receiver() -> None:
    copies: list[bytes] = []

    def keep(instance: Animal, **_: Any) -> None:
        copies.append(pickle.dumps(instance))

    create_rule(model=Animal, signals=["pre_save"], actions=LOG)
    with connected(post_save, keep), connected(pre_save, keep):
        Animal.objects.create(name="a")
    assert [pickle.loads(one).name for one in copies] == ["a", "a"]


def test_an_instance_can_be_pickled_after_a_save_that_failed() -> None:
    create_rule(model=Animal, signals=["pre_save"], actions=LOG)
    animal = Animal(name=None)
    with pytest.raises(IntegrityError):
        animal.save()
    pickle.dumps(animal)


def test_an_instance_can_be_pickled_when_its_rules_went_during_its_save() -> None:
    create_rule(model=Animal, signals=["pre_save"], actions=LOG)

    def forget(**_: Any) -> None:
        cache.reset()

    with connected(pre_save, forget):
        animal = Animal.objects.create(name="a")
    pickle.dumps(animal)


def test_what_a_failed_save_matched_is_not_told_by_a_later_delete() -> None:
    create_rule(model=Animal, signals=["pre_save"], operations=["update"], actions=LOG)
    create_rule(model=Animal, signals=["post_delete"], actions=LOG)
    animal = Animal.objects.create(name="a")
    animal.name = None  # type: ignore[assignment]
    with pytest.raises(IntegrityError):
        animal.save()
    animal.delete()
    assert [event.signal for event in Event.objects.all()] == ["post_delete"]


def test_following_a_relation_caches_nothing_on_the_callers_instance() -> None:
    create_rule(model=Animal, condition={"!=": [{"var": "instance.keeper.name"}, "x"]}, actions=LOG)
    animal = Animal(name="a", keeper_id=Keeper.objects.create(name="old").pk)
    animal.save()
    Keeper.objects.update(name="new")
    assert animal.keeper.name == "new"
    assert Event.objects.exists()


def in_keeping(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
    """Look on, as tracing does."""
    return execute(sql, params, many, context)


def to_the_last_answer(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
    """Leave the cursor at the answer to the last statement, as django-pghistory's context does."""
    answer = execute(sql, params, many, context)
    while hasattr(answer, "nextset") and answer.nextset():
        pass
    return answer


class OneAnswer:
    """A cursor that knows of one answer a statement, as tools around cursors may."""

    def __init__(self, cursor: Any) -> None:
        self.cursor = cursor

    def __getattr__(self, name: str) -> Any:
        if name == "nextset":
            raise NotImplementedError("There is one answer.")
        return getattr(self.cursor, name)

    def __enter__(self) -> OneAnswer:
        return self

    def __exit__(self, *exception: object) -> None:
        self.cursor.close()


@contextmanager
def another_method() -> Iterator[None]:
    """As django-debug-toolbar wraps the cursors of a connection."""
    usual = connection.cursor
    connection.cursor = lambda *args, **options: OneAnswer(usual(*args, **options))  # type: ignore[method-assign]
    try:
        yield
    finally:
        del connection.cursor


@contextmanager
def another_factory() -> Iterator[None]:
    """As OpenTelemetry's instrumentation of psycopg makes cursors of its own class."""
    connection.ensure_connection()
    driver: Any = connection.connection
    usual = getattr(driver, "cursor_factory", None)
    if usual is None:
        pytest.skip("This driver has no factory.")

    def nextset(self: Any) -> bool:
        raise NotImplementedError("There is one answer.")

    driver.cursor_factory = type("Traced", (usual,), {"nextset": nextset, "__module__": "tracing"})
    try:
        yield
    finally:
        driver.cursor_factory = usual


@contextmanager
def another_connection() -> Iterator[None]:
    """As elastic-apm stands before the driver's connection."""
    connection.ensure_connection()
    usual = connection.connection

    class Proxy:
        def __getattr__(self, name: str) -> Any:
            return getattr(usual, name)

        def cursor(self, *args: Any, **options: Any) -> Any:
            return OneAnswer(usual.cursor(*args, **options))

    if not hasattr(usual, "cursor_factory"):
        pytest.skip("This driver has no factory.")
    connection.connection = Proxy()
    try:
        yield
    finally:
        connection.connection = usual


@contextmanager
def counting() -> Iterator[None]:
    with CaptureQueriesContext(connection):
        yield


WRAPPERS = {
    "a wrapper that leaves the last answer": lambda: connection.execute_wrapper(to_the_last_answer),
    "a wrapper that looks on": lambda: connection.execute_wrapper(in_keeping),
    "another method of the connection": another_method,
    "another class of cursors": another_factory,
    "another connection before the driver's": another_connection,
    "Django's cursor for debugging": counting,
}


@pytest.mark.parametrize("wrapped", WRAPPERS.values(), ids=list(WRAPPERS))
def test_old_values_are_read_beside_whatever_stands_around_cursors(
    wrapped: Callable[[], AbstractContextManager[Any]],
) -> None:
    create_rule(model=Keeper, operations=["update"], changes=[{"field": "name"}], actions=LOG)
    keeper, before = Keeper.objects.create(name="before"), _troubles()
    with transaction.atomic(), wrapped():
        keeper.name = "after"
        keeper.save()
    assert Event.objects.get().context["changes"]["name"] == {"old": "before", "new": "after"}
    assert _troubles() == before
