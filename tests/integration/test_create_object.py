"""The action ``create_object``: new rows of other models, through the whole engine."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db.models.signals import post_save

from project.accounts.models import User
from project.clinic.models import Department, Doctor, DoctorProfile, Patient
from project.shop.models import Order, StatusHistory
from rules_engine.errors import InvalidRule, Problem, Refused
from rules_engine.models import AuditEntry, Execution
from rules_engine.rules import registry
from rules_engine.testing import ActionContractTests, create_rule, run_due
from rules_engine.types import RuleSpec
from tests.threads import run_together
from tests.zoo.models import Animal, Keeper, Tag, Ticket

pytestmark = pytest.mark.django_db(transaction=True)

KIND = "create_object"
HISTORY = {
    "model": "shop.statushistory",
    "values": [
        {"field": "order", "value": "{{ instance.pk }}"},
        {"field": "from_status", "value": "{{ old.status }}"},
        {"field": "to_status", "value": "{{ instance.status }}"},
    ],
}


def problems_of(config: Mapping[str, Any], model: Any = Order) -> list[Problem]:
    with pytest.raises(InvalidRule) as caught:
        create_rule(model=model, actions=[(KIND, config)])
    return [Problem(p.pointer.removeprefix("/actions/0/config"), p.message) for p in caught.value.problems]


def department_rule(*unless: str, **fields: Any) -> None:
    """A patient's name becomes that of a department."""
    values = [{"field": "name", "value": "{{ instance.name }}"}]
    config = {"model": "clinic.department", "values": values, "unless_exists": list(unless)}
    create_rule(model=Patient, operations=["create"], actions=[(KIND, config)], **fields)


class TestContract(ActionContractTests):
    kind = KIND
    config = {"model": "clinic.patient", "values": [{"field": "name", "value": "{{ instance.name }}"}]}
    context = {"instance": {"name": "Ward"}}
    rule = RuleSpec(slug="r", model="clinic.department", signals=("post_save",))


def test_c02_a_user_who_is_a_doctor_gets_a_profile_once() -> None:
    create_rule(
        model=User,
        operations=["create", "update"],
        condition={"var": "instance.is_doctor"},
        actions=[
            (
                KIND,
                {
                    "model": "clinic.doctorprofile",
                    "values": [
                        {"field": "user", "value": "{{ instance.pk }}"},
                        {"field": "headline", "value": "Dr {{ instance.last_name }}"},
                    ],
                    "unless_exists": ["user_id"],
                },
            )
        ],
    )
    doctor = User.objects.create(username="ada", last_name="Byron", is_doctor=True)
    User.objects.create(username="eve")
    assert run_due() == 1
    doctor.save()
    assert run_due() == 1
    profile = DoctorProfile.objects.get()
    assert (profile.user_id, profile.headline) == (doctor.pk, "Dr Byron")
    executions = Execution.objects.order_by("created_at")
    assert [one.state for one in executions] == ["succeeded", "succeeded"]
    assert [one.summary for one in executions] == [
        f"Created doctor profile {profile.pk}",
        f"There is such a doctor profile already: {profile.pk}",
    ]


def test_s05_a_change_of_status_is_kept_as_a_row_from_old_to_new() -> None:
    create_rule(model=Order, operations=["update"], changes=[{"field": "status"}], actions=[(KIND, HISTORY)])
    order = Order.objects.create(order_number="A1")
    order.save()
    order.status = Order.Status.PAID
    order.save()
    assert run_due() == 1
    assert list(StatusHistory.objects.values_list("order", "from_status", "to_status")) == [(order.pk, "draft", "paid")]


def test_what_is_created_sets_off_other_rules_in_the_same_chain() -> None:
    department_rule()
    create_rule(model=Department, operations=["create"], actions=[("write_audit_entry", {})])
    Patient.objects.create(name="Ward")
    assert run_due() == 2
    entry = AuditEntry.objects.get()
    events = {one.event.model: one.event for one in Execution.objects.select_related("event")}
    assert entry.model == "clinic.department"
    assert events["clinic.department"].root_id == events["clinic.patient"].id
    assert events["clinic.department"].depth == 1


def test_values_are_converted_to_the_field_s_own_type() -> None:
    config = {
        "model": "zoo.animal",
        "values": [
            {"field": "name", "value": "{{ instance.name }}"},
            {"field": "weight", "value": {"+": [0.1, 0.2]}},
            {"field": "legs", "value": " 3 "},
            {"field": "born", "value": "{{ event.occurred_at }}"},
            {"field": "fed_at", "value": "2026-01-31T12:00:00"},
            {"field": "data", "value": {"merge": [1, {"var": "instance.name"}]}},
            {"field": "notes", "value": None},
        ],
    }
    config["values"].append({"field": "keeper", "value": {"var": "instance.id"}})
    create_rule(model=Tag, operations=["create"], actions=[(KIND, config)])
    tag = Tag.objects.create(name="Rex")
    Keeper.objects.create(pk=tag.pk, name="K")
    assert run_due() == 1
    animal = Animal.objects.get()
    event = Execution.objects.get().event
    assert (animal.name, animal.weight, animal.legs) == ("Rex", Decimal("0.30"), 3)
    assert animal.born == event.occurred_at.date()
    assert animal.fed_at == datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert (animal.data, animal.notes, animal.keeper_id) == ([1, "Rex"], "", tag.pk)


def test_a_uuid_key_may_be_given() -> None:
    animal = Animal.objects.create(name="Rex")
    key = "0197aaaa-0000-7000-8000-000000000001"
    values = [
        {"field": "id", "value": key},
        {"field": "animal", "value": {"var": "instance.legs"}},
        {"field": "price", "value": {"/": [10, 3]}},
    ]
    create_rule(model=Animal, actions=[(KIND, {"model": "zoo.ticket", "values": values})])
    animal.legs = animal.pk
    animal.save()
    assert run_due() == 1
    ticket = Ticket.objects.get()
    assert (str(ticket.pk), ticket.animal_id, str(ticket.price)) == (key, animal.pk, "3.33")
    animal.save()
    assert run_due() == 1
    assert "id (unique)" in Execution.objects.get(state="discarded").error
    assert Ticket.objects.count() == 1


def test_an_invalid_object_is_discarded_and_only_fields_are_named() -> None:
    config = {
        "model": "shop.statushistory",
        "values": [{"field": "order", "value": {"var": "instance.pk"}}, {"field": "to_status", "value": "canary"}],
    }
    create_rule(model=Order, operations=["create"], actions=[(KIND, config)])
    Order.objects.create(order_number="A1")
    assert run_due() == 1
    execution = Execution.objects.get()
    assert execution.state == "discarded"
    assert execution.error == "Status history cannot be saved: to_status (invalid_choice)."
    assert StatusHistory.objects.count() == 0


def test_a_value_of_the_wrong_type_is_discarded_without_being_quoted() -> None:
    values = [{"field": "order", "value": "canary"}, {"field": "to_status", "value": "paid"}]
    create_rule(model=Order, actions=[(KIND, {"model": "shop.statushistory", "values": values})])
    Order.objects.create(order_number="A1")
    run_due()
    assert Execution.objects.get().error == "Status history cannot be saved: order (invalid)."


def test_an_order_that_is_gone_cannot_be_pointed_to() -> None:
    create_rule(model=Order, operations=["create"], actions=[(KIND, HISTORY)])
    Order.objects.create(order_number="A1").delete()
    run_due()
    assert Execution.objects.get().error == "Status history cannot be saved: order (invalid)."


def test_a_retry_after_a_failure_behind_the_write_leaves_one_row() -> None:
    department_rule()
    Patient.objects.create(name="Ward")
    failures = [RuntimeError("the receiver broke")]

    def receiver(**_: object) -> None:
        if failures:
            raise failures.pop()

    post_save.connect(receiver, sender=Department)
    try:
        assert run_due() == 1
        assert Department.objects.count() == 0
        Execution.objects.update(next_attempt_at="2020-01-01T00:00:00Z")
        assert run_due() == 1
    finally:
        post_save.disconnect(receiver, sender=Department)
    assert Department.objects.count() == 1
    execution = Execution.objects.get()
    assert (execution.state, execution.attempts) == ("succeeded", 2)


@pytest.mark.row_locks
def test_two_workers_at_once_make_one_row_without_any_constraint() -> None:
    values = [{"field": "name", "value": "One"}, {"field": "email", "value": "{{ instance.name }}@example.com"}]
    config = {"model": "clinic.patient", "values": values, "unless_exists": ["name"]}
    create_rule(model=Department, actions=[(KIND, config)])
    for number in range(8):
        Department.objects.create(name=f"d{number}")

    def work(_number: int) -> None:
        while run_due(limit=1):
            pass

    run_together(4, work)
    assert set(Execution.objects.values_list("state", flat=True)) == {"succeeded"}
    assert Patient.objects.count() == 1


def test_a_field_that_is_null_is_looked_for_as_null() -> None:
    values = [{"field": "order_number", "value": "{{ instance.name }}"}, {"field": "customer", "value": ""}]
    config = {"model": "shop.order", "values": values, "unless_exists": ["customer"]}
    create_rule(model=Patient, actions=[(KIND, config)])
    Patient.objects.create(name="A1")
    Patient.objects.create(name="A2")
    assert run_due() == 2
    assert list(Order.objects.values_list("order_number", "customer")) == [("A1", None)]


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("accounts.user", "username"),
        ("accounts.user_groups", "group"),
        ("auth.group", "name"),
        ("auth.permission", "name"),
        ("auth.group_permissions", "group"),
        ("sessions.session", "session_key"),
        ("admin.logentry", "object_id"),
        ("contenttypes.contenttype", "model"),
        ("rules_engine.rule", "slug"),
        ("rules_engine.auditentry", "note"),
        ("webhooks.endpoint", "slug"),
    ],
)
def test_what_decides_power_and_the_engine_s_own_tables_are_refused(label: str, name: str) -> None:
    config = {"model": label, "values": [{"field": name, "value": "x"}]}
    (problem,) = problems_of(config)
    assert problem.pointer == "/model"
    assert problem.message.startswith("Rules may not write ")
    with pytest.raises(Refused):
        run_unchecked(config)


def test_a_secret_is_never_written() -> None:
    config = {"model": "zoo.keeper", "values": [{"field": "api_token", "value": "x"}]}
    (problem,) = problems_of(config)
    assert problem == Problem("/values/0/field", 'Rules may not write "api_token" of keeper.')
    with pytest.raises(Refused):
        run_unchecked(config)


def run_unchecked(config: Mapping[str, Any]) -> None:
    action = registry.find(KIND)
    assert action is not None
    action.run(TestContract()._context(), config)


def test_files_and_made_keys_are_never_written() -> None:
    for label, name in (("shop.productimage", "image"), ("shop.tag", "id"), ("zoo.animal", "blob")):
        (problem,) = problems_of({"model": label, "values": [{"field": name, "value": "x"}]})
        assert problem.pointer == "/values/0/field"
        assert "may not" in problem.message


def test_a_child_is_not_written_over_another_parent() -> None:
    (problem,) = problems_of({"model": "zoo.dog", "values": [{"field": "animal_ptr", "value": "1"}]})
    assert problem.message == 'Rules may not write the key of dog, "animal_ptr".'


def test_misspelled_names_get_a_suggestion_at_their_place() -> None:
    (problem,) = problems_of({"model": "shop.statushistry", "values": []})
    assert problem == Problem("/model", 'There is no model "shop.statushistry". Did you mean "shop.statushistory"?')
    config = {
        "model": "clinic.patient",
        "values": [
            {"field": "nam", "value": "x"},
            {"field": "email", "value": "{{ instance.totl }}"},
            {"field": "email", "value": "y"},
            {"feld": "email"},
        ],
        "unless_exists": ["emial"],
    }
    found = {problem.pointer: problem.message for problem in problems_of(config)}
    assert found["/values/0/field"] == 'Patient has no field "nam". Did you mean "name"?'
    assert 'Did you mean "total"?' in found["/values/1/value"]
    assert "already" in found["/values/2/field"]
    assert found["/values/3/feld"] == 'A row has no "feld". Did you mean "field"?'
    assert found["/unless_exists/0"].endswith('Did you mean "email"?')


def test_the_author_needs_the_permission_to_add() -> None:
    author = User.objects.create_user("ada")
    author.user_permissions.set(Permission.objects.filter(codename__in=["view_patient", "view_department"]))
    department_rule(author=author)
    Patient.objects.create(name="Ward")
    run_due()
    assert Execution.objects.get().state == "refused"
    assert "clinic.add_department" in Execution.objects.get().error
    author.user_permissions.add(Permission.objects.get(codename="add_department"))
    Patient.objects.create(name="Ward")
    run_due()
    assert Department.objects.count() == 1


def test_only_the_fields_that_the_values_read_are_captured() -> None:
    create_rule(model=Order, actions=[(KIND, HISTORY)])
    Order.objects.create(order_number="A1")
    assert set(Execution.objects.get().event.context["instance"]) == {"pk", "status"}


def test_a_doctor_is_linked_by_relation_or_column_name_but_not_by_both() -> None:
    values = [{"field": "user", "value": "1"}, {"field": "user_id", "value": "1"}]
    (problem,) = problems_of({"model": "clinic.doctorprofile", "values": values}, Doctor)
    assert problem.pointer == "/values/1/field"
