"""What rules write to rows, through the whole engine: each value as its field has it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from rules_engine.models import Event, Execution
from rules_engine.testing import create_rule, run_due
from tests.zoo.models import Animal, Tag
from tests.zoo.written import Stamped

pytestmark = pytest.mark.django_db(transaction=True)

EARLIER = timezone.now() - timedelta(days=3)


def row(field: str, value: Any, how: str | None = None) -> dict[str, Any]:
    return {"field": field, "value": value} | ({"how": how} if how else {})


def query(model: str, values: list[dict[str, Any]], **more: Any) -> tuple[str, Mapping[str, Any]]:
    every = [row("pk__isnull", "false")]
    return "update_objects", {"target": "query", "model": model, "filter": every, "values": values, **more}


def states() -> list[tuple[str, str]]:
    return [(execution.state, execution.error) for execution in Execution.objects.order_by("created_at")]


# Fields that set themselves.


def stamped_earlier() -> Stamped:
    stamped = Stamped.objects.create(name="a")
    Stamped.objects.update(modified=EARLIER, changed_on=EARLIER, made_on=EARLIER)
    return stamped


def test_fields_that_stamp_themselves_are_stamped_by_a_rules_save() -> None:
    stamped = stamped_earlier()
    create_rule(model=Tag, actions=[query("zoo.stamped", [row("name", "b")])])
    Tag.objects.create(name="t")
    run_due()
    stamped.refresh_from_db()
    assert (stamped.name, stamped.made_on) == ("b", EARLIER)
    assert stamped.modified > EARLIER
    assert stamped.changed_on > EARLIER


def test_a_row_that_has_the_values_already_is_not_stamped() -> None:
    stamped = stamped_earlier()
    create_rule(model=Tag, actions=[query("zoo.stamped", [row("name", "a")])])
    Tag.objects.create(name="t")
    run_due()
    stamped.refresh_from_db()
    assert (stamped.modified, stamped.changed_on) == (EARLIER, EARLIER)


def test_one_statement_stamps_what_djangos_auto_now_would() -> None:
    stamped = stamped_earlier()
    create_rule(model=Tag, actions=[query("zoo.stamped", [row("name", "b")], one_statement=True)])
    Tag.objects.create(name="t")
    run_due()
    stamped.refresh_from_db()
    assert stamped.name == "b"
    assert stamped.changed_on > EARLIER
    assert stamped.made_on == EARLIER


def test_a_rule_hears_of_a_stamp_that_a_rules_save_set() -> None:
    stamped_earlier()
    create_rule(model=Tag, actions=[query("zoo.stamped", [row("name", "b")])])
    create_rule(model=Stamped, changes=[{"field": "modified"}], actions=[("write_audit_entry", {})])
    Tag.objects.create(name="t")
    run_due()
    assert [state for state, _ in states()] == ["succeeded", "succeeded"]


# Secrets.


def test_secrets_inside_json_are_in_no_event() -> None:
    create_rule(model=Animal, actions=[("log_message", {"message": "{{ instance.data }}"})])
    Animal.objects.create(name="a", data={"api_key": "CANARY", "config": [{"password": "CANARY", "host": "h"}]})
    run_due()
    told = f"{Event.objects.get().context} {Execution.objects.get().summary}"
    assert "CANARY" not in told
    assert "host" in told
