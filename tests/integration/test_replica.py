"""A site whose routers send reads to a replica that lags: nothing that rules do rests on what it says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.core import mail
from django.db import connections
from django.db.models import F

from project.accounts.models import User
from rules_engine import watching_bulk
from rules_engine.databases import routing
from rules_engine.models import AuditEntry, Event, Execution, HeldMatch, Pause, Rule, RuleError
from rules_engine.testing import create_rule, refresh, run_due
from tests.zoo.models import Animal, Keeper, Tag
from webhooks.models import Endpoint

pytestmark = pytest.mark.django_db(transaction=True)

RENAMED: dict[str, Any] = {"operations": ["update"], "changes": [{"field": "name"}]}
NAME = {"==": [{"var": "instance.keeper.name"}, "Ada"]}
NOTE = "{{ instance.keeper.name }} had {{ old.name }}, tagged {% for tag in instance.tags %}{{ tag.name }}{% endfor %}"
AUDIT = ("write_audit_entry", {"note": NOTE})


class ToReplica:
    """What a site writes: reads from the replica, writes to the database."""

    def db_for_read(self, model: Any, **_: Any) -> str:
        return "replica"

    def db_for_write(self, model: Any, **_: Any) -> str:
        return "default"

    def allow_relation(self, *_objects: Any, **_hints: Any) -> bool:
        return True


@pytest.fixture
def replica(settings: Any, tmp_path: Path) -> Iterator[Path]:
    """A replica so far behind that it has no tables yet: whatever is read there is an error."""
    path = tmp_path / "replica.sqlite3"
    sqlite = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(path), "OPTIONS": {}}
    connections.settings["replica"] = {**connections.settings["default"], **sqlite}
    copy = connections["replica"]
    # Past Django's test cases, which forbid databases that they do not know of.
    copy.ensure_connection = lambda: copy.connection or copy.connect()  # type: ignore[method-assign]
    settings.DATABASE_ROUTERS = [ToReplica()]
    routing.stand_first()
    yield path
    settings.DATABASE_ROUTERS = []
    connections["replica"].close()
    del connections["replica"]
    del connections.settings["replica"]


def animal() -> Animal:
    """An animal with a keeper and a tag."""
    keeper = Keeper.objects.create(name="Ada")
    made = Animal.objects.create(name="before", keeper=keeper)
    made.tags.add(Tag.objects.create(name="furry"))
    return made


def outcome() -> list[tuple[str, str]]:
    """What came of each execution; errors of rules are none."""
    assert list(RuleError.objects.values_list("message", flat=True)) == []
    return list(Execution.objects.order_by("pk").values_list("state", "error"))


def test_an_event_a_decision_and_an_effect_read_what_is_written(replica: Path) -> None:
    create_rule(Animal, **RENAMED, condition=NAME, actions=[AUDIT])
    one = animal()
    one.name = "after"
    one.save()
    run_due()
    assert outcome() == [("succeeded", "")]
    assert AuditEntry.objects.get().note == "Ada had before, tagged furry"
    assert Animal.objects.all().db == "replica", "the site's own reads are the site's"


def test_what_an_action_reads_and_changes_is_where_it_is_written(replica: Path) -> None:
    values = [{"field": "notes", "value": "seen {{ instance.name }}"}]
    create_rule(Keeper, actions=[("update_objects", {"target": "animals", "values": values})])
    history = {"model": "zoo.tag", "values": [{"field": "name", "value": "kept"}], "unless_exists": ["name"]}
    create_rule(Animal, operations=["update"], actions=[("create_object", history)] * 2)
    one = animal()
    one.keeper.save()
    run_due()
    run_due()
    assert {state for state, _error in outcome()} == {"succeeded"}
    assert Animal.objects.using("default").get().notes == "seen Ada"
    assert Tag.objects.using("default").filter(name="kept").count() == 1


def test_a_right_that_was_just_given_counts(replica: Path) -> None:
    author = User.objects.create_user("ada", is_staff=True)
    author.user_permissions.add(
        *Permission.objects.using("default").filter(codename__in=["view_animal", "view_keeper", "view_tag"])
    )
    create_rule(Animal, **RENAMED, condition=NAME, actions=[AUDIT], author=author)
    one = animal()
    one.name = "after"
    one.save()
    run_due()
    assert outcome() == [("succeeded", "")]
    User.objects.using("default").update(is_active=False)
    one.name = "later"
    one.save()
    run_due()
    assert [state for state, _error in outcome()] == ["succeeded", "refused"]


def test_a_many_to_many_change_is_told_from_what_is_written(replica: Path) -> None:
    message = "{% for tag in m2m.objects %}{{ tag.name }}{% endfor %}"
    changed = [{"field": "tags"}]
    create_rule(Animal, signals=["m2m_changed"], changes=changed, actions=[("log_message", {"message": message})])
    create_rule(Tag, signals=["m2m_changed"], actions=[("log_message", {"message": "{{ instance.name }}"})])
    animal()
    run_due()
    assert [state for state, _error in outcome()] == ["succeeded"] * 2


def test_a_limit_and_a_pause_hold_at_once(replica: Path) -> None:
    rule = create_rule(Animal, operations=["create"], actions=[AUDIT], throttle_count=1, throttle_seconds=3600)
    for name in "ab":
        Animal.objects.create(name=name)
    run_due()
    assert HeldMatch.objects.count() == 2
    assert [state for state, _error in outcome()] == ["succeeded"]
    Pause.objects.create(rule_slug=rule.slug, mode="drop")
    refresh()
    Animal.objects.create(name="c")
    assert Event.objects.count() == 2


def test_a_mail_and_rules_go_by_what_is_written(replica: Path) -> None:
    config = {"to": ["{{ instance.keeper.name }}@x.example"], "subject": "s", "body": "b"}
    create_rule(Animal, operations=["create"], actions=[("send_email", config)])
    animal()
    run_due()
    assert [message.to for message in mail.outbox] == [["Ada@x.example"]]
    Rule.objects.update(enabled=False)
    refresh()
    animal()
    assert Execution.objects.count() == 1
    assert {Rule.objects.all().db, Execution.objects.all().db, Endpoint.objects.all().db} == {"default"}


def test_a_replica_that_lags_changes_no_verdict(replica: Path) -> None:
    create_rule(Animal, **RENAMED, condition=NAME, actions=[AUDIT])
    one = animal()
    # As it was before the keeper's name was mended, as far as this test reads there.
    with connections["replica"].schema_editor() as editor:
        for model in (Keeper, Animal):
            editor.create_model(model)
    behind: dict[str, Any] = {"raw": True, "using": "replica", "force_insert": True}
    Keeper(pk=one.keeper_id, name="Eve").save_base(**behind)
    Animal(pk=one.pk, name="before", keeper_id=one.keeper_id, seen_at=one.seen_at).save_base(**behind)
    assert Keeper.objects.get().name == "Eve", "the replica lags"
    stale = Animal.objects.get()
    stale.name = "after"
    stale.save()
    run_due()
    assert AuditEntry.objects.get().note == "Ada had before, tagged furry"
    assert one.pk == stale.pk


def test_bulk_writes_and_deletes_are_told_of_what_is_written(replica: Path) -> None:
    create_rule(Animal, condition=NAME, changes=[{"field": "legs"}], actions=[AUDIT])
    create_rule(Animal, signals=["post_delete"], condition={"==": [{"var": "old.legs"}, 6]}, actions=[AUDIT])
    one = animal()
    with watching_bulk():
        Animal.objects.filter(keeper__isnull=False).update(legs=F("legs") + 1)
        one.legs = 6
        Animal.objects.bulk_update([one], ["legs"])
        Animal.objects.bulk_create([Animal(name="made", keeper=one.keeper)])
        Animal.objects.bulk_create([Animal(pk=one.pk, name="passed by")], ignore_conflicts=True)
    Animal.objects.using("default").only("pk").get(pk=one.pk).delete()
    run_due()
    assert outcome() == [("succeeded", "")] * 5
    told = [event.context["changes"].get("legs") for event in Event.objects.order_by("pk")]
    assert [(legs["old"], legs["new"]) for legs in told if legs] == [(None, 4), (4, 5), (5, 6), (None, 4)]
