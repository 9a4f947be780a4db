"""Random rules on one model, of which one meets a fault of any kind: all others act, and the veto is asked.

``PROPERTY_EXAMPLES`` runs more of them, each time others; the fixed set is always the same.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from typing import Any

import pytest
from django.db import DatabaseError, connection, models, transaction
from django.db.models.manager import BaseManager
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rules_engine import acting_as
from rules_engine.context.plain_data import NO_VALUE
from rules_engine.errors import Rejected
from rules_engine.logic import jsonlogic
from rules_engine.models import Event, Execution, HeldMatch, Rule, RuleAction, RuleError, RuleVersion
from rules_engine.outbox import writing
from rules_engine.rules import holding
from rules_engine.testing import create_rule, reset
from tests.examples import FIXED, examples
from tests.integration.test_isolation import LOG, Nameless, Unprintable, forget_forms
from tests.zoo.models import Animal, Keeper, Meal, Tag

pytestmark = pytest.mark.django_db(transaction=True)

SETTINGS = settings(
    max_examples=examples(60),
    derandomize=FIXED,
    database=None,
    deadline=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)


class FromTheDatabase:
    """Makes the database itself raise, which spoils the transaction of some."""

    def __str__(self) -> str:
        return "a failing statement"


ERRORS = [RuntimeError("no"), DatabaseError("no"), Unprintable(), LookupError(), RecursionError(), FromTheDatabase()]


def fail(error: Any) -> None:
    if isinstance(error, FromTheDatabase):
        with connection.cursor() as cursor:
            cursor.execute("SELECT nothing_of_that_name")
    raise error.with_traceback(None)


def says(text: str) -> dict[str, Any]:
    return {"actions": [("log_message", {"message": text})]}


#: What a rule reads or asks, by the part that a fault may lie in.
ASKS: Mapping[str, Collection[dict[str, Any]]] = {
    "keeper": (says("{{ instance.keeper.name }}"), {"condition": {"!!": [{"var": "instance.keeper.name"}]}}),
    "tags": (says("{{ instance.tags__count }}"), {"condition": {"==": [{"var": "instance.tags__count"}, 1]}}),
    "notes": (
        says("{{ instance.notes }}"),
        {"condition": {"==": [{"var": "instance.notes"}, "new"]}},
        {"changes": [{"field": "notes"}]},
    ),
    "born": (
        says("{{ old.born }}"),
        {"changes": [{"field": "born"}]},
        {"condition": {"!!": [{"var": "changes.born.new"}]}},
        {"condition": {"in": ["born", {"var": "changed"}]}},
    ),
    "actor": (says("{{ actor.username }}"), {"condition": {"==": [{"var": "actor.username"}, "kim"]}}),
    "key": ({"throttle_count": 9, "throttle_seconds": 9, "throttle_by": "a key of its own"},),
    "condition": ({"condition": {"==": [{"var": "instance.legs"}, 3]}},),
    "stored": ({},),
}


@contextmanager
def field_code(name: str, **methods: Any) -> Iterator[None]:
    """Give a field other code, and let it be found out anew how it stores its values."""
    with pytest.MonkeyPatch.context() as patch:
        for method, code in methods.items():
            patch.setattr(Animal._meta.get_field(name), method, code, raising=False)
        forget_forms()
        yield
    forget_forms()


@contextmanager
def patched(owner: Any, name: str, wrapped: Callable[..., Any]) -> Iterator[None]:
    real = getattr(owner, name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, lambda *given, **more: wrapped(real, *given, **more))
        yield


def fault(part: str, error: Any) -> AbstractContextManager[Any]:
    """The part of what rules read fails, for as long as that goes."""
    # Conditions, keys and a field's own code ask no database.
    plain = RuntimeError("no") if isinstance(error, FromTheDatabase) else error
    # By these a field says that the value is none of its own, which is told as it stands.
    python = failing(RuntimeError("no") if isinstance(plain, NO_VALUE) else plain)
    if part in ("keeper", "tags"):
        return patched(BaseManager, "get_queryset", in_rows_of(Keeper if part == "keeper" else Tag, error))
    if part == "notes":
        return field_code("notes", get_prep_value=python, get_db_prep_save=lambda value, connection: value)
    if part == "born":
        return field_code("born", from_db_value=python)
    if part == "actor":
        return acting_as(Nameless(python))
    owner, name, wrapped = {
        "key": (holding.texts, "render", in_key),
        "condition": (jsonlogic.Condition, "matches", in_condition),
        "stored": (writing, "make_batch", in_storing),
    }[part]
    return patched(owner, name, partial(wrapped, plain))


def failing(error: Any) -> Callable[..., Any]:
    def fails(*_: Any, **__: Any) -> Any:
        fail(error)

    return fails


def in_rows_of(model: type[models.Model], error: Any) -> Callable[..., Any]:
    def get_queryset(real: Any, manager: Any) -> Any:
        return fail(error) if manager.model is model else real(manager)

    return get_queryset


def in_key(error: Any, real: Any, text: Any, *more: Any) -> Any:
    return fail(error) if text == "a key of its own" else real(text, *more)


def in_condition(error: Any, real: Any, condition: Any, data: Any) -> Any:
    return fail(error) if condition.source == {"==": [{"var": "instance.legs"}, 3]} else real(condition, data)


def in_storing(error: Any, real: Any, event: Any, matched: Any, **more: Any) -> Any:
    if any(rule.slug.startswith("stored") for rule in matched):
        raise TypeError("Object of type Odd is not JSON serializable")
    return real(event, matched, **more)


RULES = st.lists(
    st.sampled_from([(part, number) for part, asks in ASKS.items() for number in range(len(asks))]),
    min_size=2,
    max_size=7,
    unique=True,
)


@SETTINGS
@given(
    chosen=RULES,
    part=st.sampled_from(list(ASKS)),
    error=st.sampled_from(ERRORS),
    signal=st.sampled_from(["pre_save", "post_save"]),
    is_atomic=st.booleans(),
)
def test_a_fault_of_one_rule_is_no_fault_of_another(
    chosen: list[tuple[str, int]], part: str, error: Any, signal: str, is_atomic: bool
) -> None:
    try:
        run(chosen, part, error, signal, is_atomic)
    finally:
        for model in (Execution, HeldMatch, RuleError, Event, RuleAction, RuleVersion, Rule, Meal, Animal, Keeper, Tag):
            model._default_manager.all().delete()
        reset()


def run(chosen: list[tuple[str, int]], part: str, error: Any, signal: str, is_atomic: bool) -> None:
    keeper = Keeper.objects.create(name="k")
    Animal.objects.create(name="a", keeper=keeper, notes="old", born="2026-01-01").tags.add(
        Tag.objects.create(name="t")
    )
    with ExitStack() as stack:
        # Whoever acts is somebody, unless that is the fault.
        stack.enter_context(acting_as(Nameless(lambda: "kim")))
        stack.enter_context(fault(part, error))
        for name, number in chosen:
            asks = {"actions": LOG, **list(ASKS[name])[number]}
            create_rule(model=Animal, slug=f"{name}-{number}", signals=[signal], **asks)
        condition = {"==": [{"var": "instance.name"}, "bad"]}
        create_rule(
            model=Animal,
            slug="veto",
            signals=["pre_save"],
            condition=condition,
            actions=[("reject", {"message": "No"})],
        )
        animal = loaded(keeper)
        if is_atomic:
            with transaction.atomic():
                change(animal)
        else:
            change(animal)
        concerned = {f"{name}-{number}" for name, number in chosen if name == part}
        expected = {f"{name}-{number}" for name, number in chosen} - concerned
        assert failed() == concerned
        assert acted() == expected
        animal.name = "bad"
        with pytest.raises(Rejected):
            animal.save()


def loaded(keeper: Keeper) -> Animal:
    """The stored animal, as whoever has not read what cannot be read just now has it."""
    animal = Animal(pk=Animal.objects.values_list("pk", flat=True).get(), name="a", keeper_id=keeper.pk)
    animal._state.adding = False
    return animal


def change(animal: Animal) -> None:
    animal.notes, animal.legs, animal.born = "new", 3, "2026-02-02"  # type: ignore[assignment]
    animal.save()


def acted() -> set[str]:
    return {
        slug for model in (Execution, HeldMatch) for slug in model._default_manager.values_list("rule_slug", flat=True)
    }


def failed() -> set[str]:
    return set(RuleError.objects.values_list("rule_slug", flat=True))
