"""Fields set before the save, by rules."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext

from project.clinic.models import Doctor
from rules_engine.models import Event, Execution
from rules_engine.rules.validation import rule_problems
from rules_engine.testing import create_rule, run_due
from rules_engine.types import ActionSpec, RuleSpec
from tests.factories import make_doctor

pytestmark = pytest.mark.django_db(transaction=True)


def set_fields(*rows: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [("set_fields", {"fields": list(rows)})]


def test_c08_an_email_is_lowered_a_slug_made_and_a_biography_filled_in() -> None:
    create_rule(
        model=Doctor,
        signals=["pre_save"],
        actions=set_fields(
            {"field": "email", "value": {"lower": {"trim": {"var": "instance.email"}}}},
            {
                "field": "slug",
                "value": "{{ instance.first_name|slugify }}-{{ instance.last_name|slugify }}",
                "only_if_empty": True,
            },
            {
                "field": "biography",
                "value": "Dr. {{ instance.last_name }} writes soon.",
                "only_if_empty": True,
            },
        ),
    )
    doctor = make_doctor(email="  Ada@Example.COM ", slug="")
    doctor.refresh_from_db()
    assert doctor.email == "ada@example.com"
    assert doctor.slug == "ada-byron"
    assert doctor.biography == "Dr. Byron writes soon."
    doctor.slug, doctor.biography = "mine", "My own."
    doctor.save()
    doctor.refresh_from_db()
    assert (doctor.slug, doctor.biography) == ("mine", "My own.")


def test_what_was_set_is_on_record_and_no_worker_is_asked() -> None:
    create_rule(model=Doctor, signals=["pre_save"], actions=set_fields({"field": "biography", "value": "x"}))
    make_doctor(slug="a")
    execution = Execution.objects.get()
    assert (execution.state, execution.summary, execution.attempts) == ("succeeded", "Set biography", 1)
    assert run_due() == 0


def test_each_rule_sees_what_the_rules_before_it_set() -> None:
    first = set_fields({"field": "first_name", "value": "Grace"})
    second = set_fields({"field": "biography", "value": "{{ instance.first_name }}"})
    create_rule(model=Doctor, slug="one", position=1, signals=["pre_save"], actions=first)
    create_rule(model=Doctor, slug="two", position=2, signals=["pre_save"], actions=second)
    assert make_doctor(slug="a").biography == "Grace"


def test_rules_after_the_save_see_what_was_set_as_a_change() -> None:
    create_rule(model=Doctor, signals=["pre_save"], actions=set_fields({"field": "qualification", "value": "MD"}))
    create_rule(
        model=Doctor,
        operations=["update"],
        changes=[{"field": "qualification", "to": "MD"}],
        actions=[("log_message", {"message": "x"})],
    )
    doctor = make_doctor(slug="a")
    Doctor.objects.update(qualification="")
    doctor.save()
    assert Event.objects.filter(signal="post_save").count() == 1


def test_a_value_that_cannot_be_worked_out_sets_nothing() -> None:
    create_rule(
        model=Doctor,
        signals=["pre_save"],
        actions=set_fields(
            {"field": "biography", "value": "set"},
            {"field": "is_on_vacation", "value": {"+": [{"var": "instance.user_id"}, 1]}},
        ),
    )
    doctor = make_doctor(slug="a")
    assert Doctor.objects.get().biography == ""
    assert doctor.pk
    assert Execution.objects.get().state == "discarded"


def test_a_field_that_the_save_does_not_write_is_left_alone() -> None:
    create_rule(model=Doctor, signals=["pre_save"], actions=set_fields({"field": "biography", "value": "set"}))
    doctor = make_doctor(slug="a", biography="")
    Doctor.objects.update(biography="mine")
    doctor = Doctor.objects.get()
    doctor.save(update_fields=["email"])
    assert doctor.biography == "mine"
    assert Doctor.objects.get().biography == "mine"


def test_a_save_that_fails_leaves_no_record() -> None:
    create_rule(model=Doctor, signals=["pre_save"], actions=set_fields({"field": "biography", "value": "x"}))
    doctor = make_doctor(slug="a")
    with pytest.raises(Exception, match=r"(?i)unique|duplicate"):
        Doctor(pk=doctor.pk, first_name="A", last_name="B", email="a@example.com").save(force_insert=True)
    assert Execution.objects.count() == 1


def test_it_adds_no_statement_before_the_save() -> None:
    create_rule(model=Doctor, signals=["pre_save"], actions=set_fields({"field": "biography", "value": "x"}))
    doctor = Doctor(first_name="Ada", last_name="B", email="a@example.com", slug="a")
    with CaptureQueriesContext(connection) as captured:
        doctor.save()
    assert captured.captured_queries[0]["sql"].startswith(f"INSERT INTO {connection.ops.quote_name('clinic_doctor')}")


def test_an_author_who_may_not_change_the_model_sets_nothing() -> None:
    author = get_user_model().objects.create_user("kim")
    view = Permission.objects.get(codename="view_doctor")
    author.user_permissions.add(view)
    rule = set_fields({"field": "biography", "value": "x"})
    create_rule(model=Doctor, signals=["pre_save"], author=author, actions=rule)
    assert make_doctor(slug="a").biography == ""
    assert "clinic.change_doctor" in Execution.objects.get().error
    author.user_permissions.add(Permission.objects.get(codename="change_doctor"))
    assert make_doctor(slug="b").biography == "x"


@pytest.mark.parametrize(
    ("model", "signals", "row", "pointer", "fragment"),
    [
        ("clinic.doctor", ("post_save",), {"field": "slug", "value": "x"}, "", "pre_save"),
        ("clinic.doctor", ("pre_save",), {"field": "slgu", "value": "x"}, "/fields/0/field", 'Did you mean "slug"?'),
        ("clinic.doctor", ("pre_save",), {"field": "id", "value": "1"}, "/fields/0/field", "write the key"),
        ("clinic.doctor", ("pre_save",), {"field": "slug", "value": "{{ instance.x }}"}, "/fields/0/value", "no field"),
        ("shop.product", ("pre_save",), {"field": "image", "value": "x"}, "/fields/0/field", "files, binary"),
        ("accounts.user", ("pre_save",), {"field": "email", "value": "x"}, "/fields/0/field", "may not write user"),
        ("accounts.user", ("pre_save",), {"field": "is_superuser", "value": "1"}, "/fields/0/field", "may not write"),
    ],
)
def test_bad_configs_are_refused_at_their_place(
    model: str, signals: Any, row: Any, pointer: str, fragment: str
) -> None:
    action = ActionSpec("set_fields", {"fields": [row]}, timing="before_save")
    found = {
        one.pointer: one.message
        for one in rule_problems(RuleSpec("r", "R", model=model, signals=signals, actions=(action,)))
    }
    assert fragment in found[f"/actions/0/config{pointer}"]
