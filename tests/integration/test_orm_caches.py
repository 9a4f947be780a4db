"""Beside a cache that stands before Django's ORM, what decides is what the database says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import connection
from django.db.models import Model, QuerySet
from django.db.models.sql.compiler import SQLCompiler

from rules_engine.databases.uncached import UncachedQuerySet, reading_current, stand_before_caches, uncached
from rules_engine.live import cache
from rules_engine.models import Event, Execution, Pause, Rule, RuleSetVersion
from rules_engine.testing import create_rule, run_due
from tests.zoo.models import Animal, Keeper

pytestmark = pytest.mark.django_db(transaction=True)


def remember_statements(patch: pytest.MonkeyPatch) -> list[str]:
    """Answer each SELECT as it was answered the first time, as django-cachalot does where nobody tells it to forget."""
    execute_sql, known, hits = SQLCompiler.execute_sql, {}, []

    def remembering(compiler: Any, *args: Any, **options: Any) -> Any:
        if type(compiler).execute_sql is not remembering:
            return execute_sql(compiler, *args, **options)
        sql, params = compiler.as_sql()
        key = f"{sql} {params} {args} {options}"
        if key in known:
            hits.append(sql)
        else:
            found = execute_sql(compiler, *args, **options)
            known[key] = list(found) if hasattr(found, "__next__") else found
        return known[key]

    patch.setattr(SQLCompiler, "execute_sql", remembering)
    return hits


def remember_querysets(patch: pytest.MonkeyPatch) -> list[str]:
    """Answer each queryset as it was answered the first time, as django-cacheops does."""
    known: dict[str, Any] = {}
    hits: list[str] = []

    def remembering(ask: Callable[..., Any], key: str, read: Callable[[], Any]) -> Any:
        if key in known:
            hits.append(key)
        else:
            known[key] = read()
        return known[key]

    fetch_all = QuerySet._fetch_all

    def remembering_fetch_all(self: Any) -> None:
        if self._result_cache is None:
            key = f"{self.query} {self._iterable_class}"
            self._result_cache = remembering(fetch_all, key, lambda: list(self._iterable_class(self)))
        fetch_all(self)

    patch.setattr(QuerySet, "_fetch_all", remembering_fetch_all)
    for name in ("count", "exists"):
        ask = getattr(QuerySet, name)
        patch.setattr(
            QuerySet,
            name,
            lambda self, ask=ask: remembering(ask, f"{ask} {self.query}", lambda: ask(self)),
        )
    return hits


@pytest.fixture(params=[remember_statements, remember_querysets])
def hits(request: pytest.FixtureRequest, transactional_db: None) -> Iterator[list[str]]:
    """What such a cache has answered."""
    with pytest.MonkeyPatch.context() as patch:
        hits = request.param(patch)
        stand_before_caches()
        yield hits


def elsewhere(model: type[Model], **values: Any) -> None:
    """Another process changes all rows of the model, and tells no cache of it."""
    columns = ", ".join(f"{name} = %s" for name in values)
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {model._meta.db_table} SET {columns}", list(values.values()))


def test_the_cache_of_these_tests_remembers(hits: list[str]) -> None:
    keeper = Keeper.objects.create(name="old")
    assert Keeper.objects.get(pk=keeper.pk).name == "old"
    elsewhere(Keeper, name="new")
    assert Keeper.objects.get(pk=keeper.pk).name == "old"
    assert hits
    assert uncached(Keeper.objects.filter(pk=keeper.pk)).get().name == "new"
    assert uncached(Keeper.objects.filter(name="new")).exists()


def test_a_rule_switched_off_elsewhere_acts_no_more(hits: list[str]) -> None:
    create_rule(model=Animal, slug="r", actions=[("log_message", {"message": "x"})])
    assert Rule.objects.get().enabled
    Animal.objects.create(name="a")
    elsewhere(Rule, enabled=False)
    elsewhere(RuleSetVersion, number=10_000)
    assert cache.refresh()
    Animal.objects.create(name="b")
    assert Event.objects.count() == 1
    run_due()
    assert Execution.objects.get().state == "cancelled"


def test_claims_and_states_are_those_of_the_table(hits: list[str]) -> None:
    create_rule(model=Animal, slug="r", actions=[("log_message", {"message": "x"})])
    for number in range(5):
        Animal.objects.create(name="a")
        assert run_due() == 1
        assert run_due() == 0
        assert Execution.objects.filter(state="succeeded").count() == number + 1


def test_a_pause_made_elsewhere_holds_what_waits(hits: list[str]) -> None:
    create_rule(model=Animal, slug="r", actions=[("log_message", {"message": "x"})])
    assert not Pause.objects.exists()
    pause = Pause.objects.create()
    assert run_due() == 0
    Animal.objects.create(name="a")
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {pause._meta.db_table}")
    cache.refresh(force=True)
    assert not Pause.objects.exists()
    assert run_due() == 1


@pytest.mark.parametrize(
    ("hits", "change"),
    # An auth backend asks by querysets of its own, which are the site's.
    [
        (remember_statements, "inactive"),
        (remember_statements, "no permission"),
        (remember_querysets, "inactive"),
    ],
    indirect=["hits"],
)
def test_an_author_who_may_no_longer_is_refused(change: str, hits: list[str]) -> None:
    author = get_user_model().objects.create_user("anna")
    names = ["view_animal", "add_auditentry"]
    author.user_permissions.set(Permission.objects.filter(codename__in=names))
    create_rule(model=Animal, slug="r", actions=[("write_audit_entry", {"note": "{{ instance.name }}"})], author=author)
    Animal.objects.create(name="a")
    run_due()
    assert Execution.objects.get().state == "succeeded", Execution.objects.get().error
    if change == "inactive":
        elsewhere(get_user_model(), is_active=False)
    else:
        with connection.cursor() as cursor:
            cursor.execute(f"DELETE FROM {get_user_model().user_permissions.through._meta.db_table}")
    Animal.objects.create(name="b")
    run_due()
    assert Execution.objects.latest("created_at").state == "refused"


@pytest.mark.parametrize("hits", [remember_statements], indirect=True)
def test_what_a_rule_compares_is_read_from_the_database(hits: list[str]) -> None:
    condition = {"==": [{"var": "instance.keeper.name"}, "new"]}
    create_rule(model=Animal, slug="r", condition=condition, actions=[("log_message", {"message": "x"})])
    keeper = Keeper.objects.create(name="old")
    Animal(name="a", keeper_id=keeper.pk).save()
    elsewhere(Keeper, name="new")
    Animal(name="b", keeper_id=keeper.pk).save()
    assert Event.objects.count() == 1


def test_without_a_cache_nothing_is_put_in_anybodys_place() -> None:
    rows = Keeper.objects.all()
    assert uncached(rows) is rows
    with reading_current("default"):
        assert "compiler" not in vars(connection.ops)


def test_a_queryset_with_a_way_of_its_own_keeps_it(hits: list[str]) -> None:
    class Own(QuerySet[Any]):
        def count(self) -> int:
            return 42

    assert uncached(Own(Keeper)).count() == 42


def test_without_a_cache_the_engine_asks_as_django_does() -> None:
    stand_before_caches()
    assert UncachedQuerySet._fetch_all is not QuerySet._fetch_all
    assert not Rule.objects.exists()
    assert UncachedQuerySet._fetch_all is QuerySet._fetch_all
