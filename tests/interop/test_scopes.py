"""django-scopes: a manager that raises outside of a scope fails the rules that ask it, and no other."""

from __future__ import annotations

import pytest
from django_scopes import scope

from rules_engine.models import Execution, RuleError
from rules_engine.testing import create_rule, run_due
from tests.integration.noting import note
from tests.interop.models import Conference, Organizer, Talk

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_rule_that_counts_scoped_rows_fails_alone(noted: list[str]) -> None:
    create_rule(model=Organizer, slug="counts", actions=[note("{{ instance.conferences__count }}")])
    create_rule(model=Organizer, slug="plain", actions=[note("{{ instance.name }}")])
    organizer = Organizer.objects.create(name="Ada")
    run_due()
    assert "Ada" in noted
    organizer.name = "Byron"
    organizer.save()
    run_due()
    assert noted.count("Byron") == 1
    assert Organizer.objects.get().name == "Byron"


def test_a_failure_to_read_is_shown_at_its_rule_or_does_not_happen(noted: list[str]) -> None:
    create_rule(model=Organizer, slug="counts", actions=[note("{{ instance.conferences__count }}")])
    Organizer.objects.create(name="Ada")
    run_due()
    assert noted == ["0"] or RuleError.objects.filter(rule_slug="counts").exists()


def test_objects_of_a_scoped_model_are_told_within_their_scope(noted: list[str]) -> None:
    text = "{{ old.name }} {{ instance.name }} {{ instance.organizer.name }}"
    create_rule(model=Conference, operations=["update"], actions=[note(text)])
    organizer = Organizer.objects.create(name="Ada")
    with scope(organizer=organizer):
        conference = Conference.objects.create(organizer=organizer, name="One")
        conference.name = "Two"
        conference.save()
    run_due()
    assert noted == ["One Two Ada"]


def test_update_objects_finds_an_object_behind_a_scoped_manager() -> None:
    values = {"values": [{"field": "note", "value": "seen"}]}
    create_rule(
        model=Conference,
        operations=["update"],
        actions=[("update_objects", values, {"timing": "after_commit"})],
    )
    organizer = Organizer.objects.create(name="Ada")
    with scope(organizer=organizer):
        conference = Conference.objects.create(organizer=organizer, name="One")
        Talk.objects.create(conference=conference, name="Talk")
        conference.name = "Two"
        conference.save()
    run_due()
    execution = Execution.objects.get()
    with scope(organizer=organizer):
        note_now = Conference.objects.get().note
    # Either it is done, or the execution says why it is not: never done in silence, never lost.
    assert (execution.state, note_now) == ("succeeded", "seen") or (execution.error and note_now == "")
