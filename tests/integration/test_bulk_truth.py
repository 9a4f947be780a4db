"""Whatever is written, and by whatever means: the rules are told what the tables came to, and of each row once."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rules_engine import acting_as, paused, watching_bulk
from rules_engine.models import CapturedChange, Event, Execution
from rules_engine.rules import registry
from rules_engine.testing import create_rule, run_due
from tests.bulk_rows import WRITTEN, Tables, fields, make_rows, tables
from tests.examples import FIXED, examples
from tests.integration.triggers.conftest import install as install
from tests.random_bulk_writes import STEPS, Step, Writer
from tests.ways_of_saving import ReadAll, is_same, marked
from tests.zoo.models import Depot, Keeper, Shelf, Tag

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore:DateTimeField:RuntimeWarning"),
]
SETTINGS = settings(
    max_examples=examples(12),
    derandomize=FIXED,
    database=None,
    deadline=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
#: What is told of a column whose stored form is not its value.
HIDDEN = "[hidden]"
PROGRAMS = st.lists(STEPS, min_size=1, max_size=4)
#: In the order in which rows can be deleted.
EMPTIED = (*[model for model in WRITTEN if model._meta.model_name not in ("animal", "crate")], *WRITTEN)


@pytest.fixture
def _reading_all() -> Any:
    registry.register_action(ReadAll)
    yield
    del registry._actions[ReadAll.kind]


def make_rules() -> None:
    for model in WRITTEN:
        for name in fields(model):
            create_rule(
                slug=f"{model._meta.model_name}-{name}",
                model=model,
                changes=[{"field": name}],
                actions=[(ReadAll.kind, {})],
            )
        create_rule(
            slug=f"{model._meta.model_name}-gone",
            model=model,
            signals=["post_delete"],
            actions=[(ReadAll.kind, {})],
        )


def expected(before: Tables, after: Tables) -> dict[Any, Any]:
    """Of each row that came, went or became another: the operation and the rules that match."""
    found = {}
    for key in before.keys() | after.keys():
        was, now, name = before.get(key), after.get(key), key[0].split(".")[1]
        if now is None:
            found[key] = ("delete", {f"{name}-gone"})
        elif changed := {f for f in now if is_changed(was and was[f], now[f])}:
            found[key] = ("update" if was else "create", {f"{name}-{field}" for field in changed})
    return found


def is_changed(was: Any, now: Any) -> bool:
    """Say whether a rule that asks for a change matches; an empty text is none of a row that was not there."""
    return bool(marked(now) != marked(was)) and (was, now) != (None, "")


def compared(before: Tables, after: Tables, step: Step) -> None:
    """Compare what is told with what the tables say. Raises ``AssertionError``."""
    every = list(Event.objects.order_by("id"))
    events = [event for event in every if not is_emptied_first(event, after)]
    emptied_first = {(event.model, event.object_pk) for event in every if event not in events}
    told = {(e.model, e.object_pk): (e.operation, set(_matched(e))) for e in events}
    wanted = expected(before, after)
    others = {key: (told.get(key), wanted.get(key)) for key in told | wanted if told.get(key) != wanted.get(key)}
    assert others == {}, step
    assert len(told) == len(events), step
    for event in events:
        key, context = (event.model, event.object_pk), event.captured().context
        assert event.actor_name == "ada", step
        if key in emptied_first:
            continue
        for name, wanted in (("old", before.get(key)), ("instance", after.get(key))):
            for field, value in (wanted or {}).items():
                seen = (context[name] or {}).get(field, (context[name] or {}).get(f"{field}_id"))
                assert seen == HIDDEN or is_same(seen, value), (step, key, name, field, seen, value)
    assert Execution.objects.filter(event__in=events).count() == sum(len(rules) for _, rules in told.values())


def is_emptied_first(event: Event, after: Tables) -> bool:
    """Say whether it tells that Django emptied a column of a row, which it deleted then with the row it pointed to:
    where constraints cannot wait, it writes such a row twice."""
    is_gone = (event.model, event.object_pk) not in after
    return is_gone and event.operation == "update" and not connection.features.can_defer_constraint_checks


def _matched(event: Event) -> list[str]:
    return [one["rule"] for one in event.evaluations if one["outcome"] == "matched"]


def emptied() -> None:
    for table in (Execution, Event, CapturedChange, Tag.animals.through, *EMPTIED, Tag, Keeper, Shelf, Depot):
        table._base_manager.all()._raw_delete(connection.alias)


@pytest.mark.usefixtures("_reading_all")
@pytest.mark.parametrize("means", ["bulk", "triggers"])
def test_what_is_told_is_what_the_tables_came_to(
    means: str, install: Callable[..., None], django_user_model: Any
) -> None:
    make_rules()
    if means == "triggers":
        install(*WRITTEN)
    user, told = django_user_model.objects.create_user("ada"), set[str]()

    @SETTINGS
    @given(PROGRAMS)
    def holds(program: list[Step]) -> None:
        try:
            with paused():
                make_rows()
            CapturedChange.objects.all().delete()
            writer = Writer()
            for step in program:
                before = tables()
                with acting_as(user), watching_bulk() if means == "bulk" else nullcontext():
                    writer.run(step)
                if means == "triggers":
                    run_due()
                compared(before, tables(), step)
                told.update(Event.objects.values_list("operation", flat=True))
                Execution.objects.all().delete()
                Event.objects.all().delete()
        finally:
            emptied()

    holds()
    assert told == {"create", "update", "delete"}, "else the programs do nothing"
