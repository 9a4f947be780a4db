"""The audit trail: no ordinary way of Django's changes or removes an entry, and what is done past it is told."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.core import serializers
from django.core.management import CommandError, call_command
from django.db import connection, models, transaction
from django.db.models.deletion import Collector
from django.db.models.signals import post_save, pre_save
from django.utils import timezone
from pytest_django.fixtures import Settings

from rules_engine.audit import sealing
from rules_engine.models import AuditEntry, AuditSeal, Execution
from rules_engine.models.audit import AuditTrailProtected
from rules_engine.testing import create_rule, run_due
from rules_engine.work import tasks
from tests.factories import make_doctor
from tests.threads import run_together

pytestmark = pytest.mark.django_db(transaction=True)

TABLE, SEALS_TABLE = AuditEntry._meta.db_table, AuditSeal._meta.db_table


def entry(**fields: Any) -> AuditEntry:
    defaults = {
        "at": timezone.now(),
        "operation": "UPDATE",
        "model": "clinic.doctor",
        "object_pk": "7",
        "note": "first",
    }
    return AuditEntry.objects.get(pk=AuditEntry.objects.create(**{**defaults, **fields}).pk)


def sealed(count: int = 3) -> list[AuditEntry]:
    entries = [entry(note=f"entry {number}") for number in range(count)]
    tasks.seal()
    return entries


def again(row: AuditEntry, **fields: Any) -> AuditEntry:
    """The same entry, built by hand."""
    values = {field.attname: getattr(row, field.attname) for field in AuditEntry._meta.concrete_fields}
    return AuditEntry(**{**values, "note": "forged", **fields})


def execute(statement: str, *values: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


def stored_key(row: AuditEntry) -> Any:
    return AuditEntry._meta.pk.get_db_prep_value(row.pk, connection)


def verify(**options: Any) -> str:
    out = io.StringIO()
    call_command("rules_audit_verify", stdout=out, **options)
    return out.getvalue()


def problems(**options: Any) -> list[str]:
    """What the command says, of a trail that is not as it was sealed."""
    out = io.StringIO()
    with pytest.raises(CommandError, match="not as it was sealed") as raised:
        call_command("rules_audit_verify", stdout=out, **options)
    assert raised.value.returncode == 1
    return out.getvalue().splitlines()[:-1]


WAYS: dict[str, Callable[[AuditEntry], Any]] = {
    "save": lambda row: row.save(),
    "save of one built by hand": lambda row: again(row).save(),
    "forced save": lambda row: again(row).save(force_insert=True),
    "create": lambda row: AuditEntry.objects.create(pk=row.pk, at=row.at, operation="X"),
    "save_base": lambda row: row.save_base(),
    "save_base of one built by hand": lambda row: again(row).save_base(),
    "raw save_base": lambda row: models.Model.save_base(again(row), raw=True),
    "Django's own save": lambda row: models.Model.save(again(row)),
    "update_or_create": lambda row: AuditEntry.objects.update_or_create(pk=row.pk, defaults={"note": "forged"}),
    "update": lambda row: AuditEntry.objects.filter(pk=row.pk).update(note="forged"),
    "base manager's update": lambda row: AuditEntry._base_manager.update(note="forged"),
    "default manager's update": lambda row: AuditEntry._default_manager.all().update(note="forged"),
    "bulk_update": lambda row: AuditEntry.objects.bulk_update([again(row)], ["note"]),
    "bulk_create": lambda row: AuditEntry.objects.bulk_create([again(row)]),
    "bulk_create, ignoring": lambda row: AuditEntry.objects.bulk_create([again(row)], ignore_conflicts=True),
    "bulk_create, updating": lambda row: AuditEntry._base_manager.bulk_create(
        [again(row)], update_conflicts=True, update_fields=["note"], unique_fields=["id"]
    ),
    "delete": lambda row: row.delete(),
    "Django's own delete": lambda row: models.Model.delete(row),
    "many deleted": lambda row: AuditEntry.objects.all().delete(),
    "base manager's delete": lambda row: AuditEntry._base_manager.all().delete(),
    "raw delete": lambda row: AuditEntry.objects.all()._raw_delete("default"),
    "base manager's raw delete": lambda row: AuditEntry._base_manager.all()._raw_delete("default"),
    "cascade": lambda row: collected(row).delete(),
    "a plain queryset's delete": lambda row: models.QuerySet(AuditEntry).delete(),
}


def collected(row: AuditEntry) -> Collector:
    collector = Collector(using="default", origin=row)
    collector.collect([row])
    return collector


@pytest.mark.parametrize("way", WAYS)
def test_no_way_of_djangos_changes_or_removes_an_entry(way: str) -> None:
    row = entry()
    with pytest.raises(AuditTrailProtected, match="cannot be changed or deleted"), transaction.atomic():
        WAYS[way](row)
    assert AuditEntry.objects.get().note == "first"


def test_loaddata_puts_back_an_entry_and_writes_over_none(tmp_path: Path) -> None:
    row = entry()
    fixture = tmp_path / "entry.json"
    fixture.write_text(serializers.serialize("json", [again(row)]))
    with pytest.raises(AuditTrailProtected, match="cannot be changed"):
        call_command("loaddata", str(fixture), verbosity=0)
    assert AuditEntry.objects.get().note == "first"
    AuditEntry.objects.forget([row.pk])
    call_command("loaddata", str(fixture), verbosity=0)
    assert AuditEntry.objects.get().note == "forged"


@pytest.mark.parametrize("way", ["save", "delete", "update", "bulk_create"])
def test_seals_are_kept_as_entries_are(way: str) -> None:
    sealed(1)
    seal = AuditSeal.objects.get()
    ways: dict[str, Callable[[], Any]] = {
        "save": lambda: AuditSeal(number=1, sealed_at=timezone.now(), total=0).save(),
        "delete": lambda: AuditSeal.objects.all().delete(),
        "update": lambda: AuditSeal._base_manager.update(hash=""),
        "bulk_create": lambda: AuditSeal.objects.bulk_create([seal], ignore_conflicts=True),
    }
    with pytest.raises(AuditTrailProtected):
        ways[way]()
    assert AuditSeal.objects.get().hash == seal.hash


@pytest.fixture
def receivers_that_raise() -> Iterator[None]:
    def of_everything(sender: Any, **_sent: Any) -> None:
        if sender is AuditEntry:
            raise RuntimeError("a receiver of the site's that hears of every model")

    for signal in (pre_save, post_save):
        signal.connect(of_everything, dispatch_uid="site")
    yield
    for signal in (pre_save, post_save):
        signal.disconnect(dispatch_uid="site")


@pytest.mark.parametrize("timing", ["after_commit", "in_transaction"])
@pytest.mark.usefixtures("receivers_that_raise")
def test_a_receiver_of_the_sites_for_all_models_costs_no_entry(timing: str) -> None:
    create_rule(slug="audit", model="clinic.doctor", actions=[("write_audit_entry", {}, {"timing": timing})])
    make_doctor()
    run_due()
    assert AuditEntry.objects.get().operation == "CREATE"
    assert not Execution.objects.exclude(state="succeeded").exists()
    entry(note="by the site's own code")
    assert AuditEntry.objects.count() == 2


# The chain


def test_a_sweep_seals_entries_outside_of_any_save() -> None:
    create_rule(slug="audit", model="clinic.doctor", actions=[("write_audit_entry", {})])
    make_doctor()
    run_due()
    assert AuditEntry.objects.get().seal is None
    tasks.sweep()
    assert AuditEntry.objects.get().seal == 1
    assert "1 seal, 1 sealed entry" in verify()
    tasks.sweep()
    assert AuditSeal.objects.count() == 1, "with nothing new there is no seal"


def test_each_seal_goes_on_from_the_one_before() -> None:
    sealed(2)
    sealed(3)
    first, second = AuditSeal.objects.order_by("number")
    assert (first.previous, second.previous) == ("", first.hash)
    assert (first.total, second.total) == (2, 5)
    assert "The audit trail is as it was sealed." in verify()


def test_an_entry_that_was_changed_is_named() -> None:
    rows = sealed()
    execute(f"UPDATE {TABLE} SET note = 'forged' WHERE id = %s", stored_key(rows[1]))
    [said] = problems()
    assert said.startswith(f"Entry {rows[1].pk} was changed after seal 1")


@pytest.mark.parametrize("column", ["fields", "changes"])
def test_a_change_inside_json_is_named(column: str) -> None:
    row = entry(**{column: {"name": {"old": 1, "new": 2}}})
    tasks.seal()
    assert "as it was sealed" in verify()
    execute(f"UPDATE {TABLE} SET {column} = %s WHERE id = %s", '{"name": {"old": 1, "new": 3}}', stored_key(row))
    [said] = problems()
    assert f"Entry {row.pk} was changed" in said


def test_an_entry_that_was_removed_is_named() -> None:
    rows = sealed()
    execute(f"DELETE FROM {TABLE} WHERE id = %s", stored_key(rows[2]))
    [said] = problems()
    assert said.startswith(f"Entry {rows[2].pk} was removed: seal 1 has it")


def test_an_entry_that_was_put_in_under_a_seal_is_named() -> None:
    sealed()
    put_in = entry()
    execute(f"UPDATE {TABLE} SET seal = 1 WHERE id = %s", stored_key(put_in))
    [said] = problems()
    assert said.startswith(f"Entry {put_in.pk} was put in: its row says seal 1")
    execute(f"UPDATE {TABLE} SET seal = 9 WHERE id = %s", stored_key(put_in))
    [said] = problems()
    assert said.startswith(f"Entry {put_in.pk} was put in: its row says seal 9")


@pytest.mark.parametrize("is_sealed", [False, True])
def test_an_entry_that_was_put_in_with_a_past_date_is_named(is_sealed: bool) -> None:
    sealed()
    put_in = entry(created_at=timezone.now() - timedelta(days=40))
    if is_sealed:
        tasks.seal()
    [said] = problems()
    assert said.startswith(f"Entry {put_in.pk} was put in: it says that it was recorded at")


def test_an_entry_whose_seal_was_taken_off_is_named() -> None:
    rows = sealed()
    execute(f"UPDATE {TABLE} SET seal = NULL, note = 'forged' WHERE id = %s", stored_key(rows[0]))
    [said] = problems()
    assert said.startswith(f"Entry {rows[0].pk} was changed")
    tasks.seal()
    assert f"Entry {rows[0].pk} was changed after seal 1" in problems()[0]


def test_a_seal_that_was_changed_or_removed_is_named() -> None:
    for _ in range(3):
        sealed(1)
    execute(f"UPDATE {SEALS_TABLE} SET total = 7 WHERE number = 2")
    assert problems() == ["Seal 2 was changed: its hash is not the hash of what it says."]
    execute(f"DELETE FROM {SEALS_TABLE} WHERE number = 2")
    said = problems()
    assert said[0] == "Seal 2 was removed from the chain."
    assert "its row says seal 2, which does not have it" in said[1]


def test_what_retention_removes_is_told_from_tampering(settings: Settings) -> None:
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "AUDIT_RETENTION_DAYS": 30}
    old = entry(at=timezone.now() - timedelta(days=31))
    never_sealed = entry(at=timezone.now() - timedelta(days=31))
    AuditEntry.objects.forget([never_sealed.pk])
    rows = sealed()
    assert tasks.prune()["audit entries"] == 1
    said = verify()
    assert "4 sealed entries (1 of them removed by retention or erasure, 3 verified)" in said
    execute(f"DELETE FROM {TABLE} WHERE id = %s", stored_key(rows[0]))
    [problem] = problems()
    assert str(rows[0].pk) in problem
    again(old).save()
    assert any(f"Entry {old.pk} was put in: seal 2 says that retention removed it." in each for each in problems())


def test_a_changed_entry_that_retention_takes_is_named(settings: Settings) -> None:
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "AUDIT_RETENTION_DAYS": 30}
    rows = sealed()
    past = AuditEntry._meta.get_field("at").get_db_prep_value(timezone.now() - timedelta(days=99), connection)
    execute(f"UPDATE {TABLE} SET at = %s WHERE id = %s", past, stored_key(rows[0]))
    tasks.prune()
    assert AuditEntry.objects.count() == 2
    assert problems() == [f"Entry {rows[0].pk} was changed after seal 1 and before retention removed it."]


def test_erasing_an_object_leaves_the_chain_whole() -> None:
    sealed()
    call_command("rules_erase", "clinic.doctor", "7", "--no-input", stdout=io.StringIO())
    assert AuditEntry.objects.count() == 0
    assert AuditSeal.objects.get(number=2).reason == "erasure"
    assert "3 of them removed" in verify()


def test_workers_at_once_seal_each_entry_once() -> None:
    rows = [entry(note=str(number)) for number in range(40)]
    run_together(4, lambda _number: tasks.seal())
    tasks.seal()
    listed = [key for seal in AuditSeal.objects.all() for key, _hash in seal.entries]
    assert sorted(listed) == sorted(str(row.pk) for row in rows)
    assert "40 sealed entries" in verify()


def test_a_long_trail_is_sealed_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "BATCH", 2)
    sealed(5)
    assert [len(seal.entries) for seal in AuditSeal.objects.order_by("number")] == [2, 2, 1]
    assert "as it was sealed" in verify()


def test_an_entry_that_is_committed_late_is_sealed_then() -> None:
    late = entry(created_at=timezone.now() - timedelta(hours=2))
    AuditEntry.objects.forget([late.pk])  # as if its transaction were still open
    sealed()
    again(late).save()
    tasks.seal()
    assert AuditEntry.objects.get(pk=late.pk).seal == 2
    assert "4 sealed entries" in verify()
    assert f"Entry {late.pk} was put in" in problems(longest_transaction=timedelta(hours=1))[0]


# The head, kept elsewhere


def test_a_head_that_was_kept_proves_what_came_before(tmp_path: Path) -> None:
    sealed()
    head = tmp_path / "head.json"
    head.write_text(verify(export=True))
    said = json.loads(head.read_text())
    assert (said["seal"], said["entries"], said["hash"]) == (1, 3, AuditSeal.objects.get().hash)
    sealed(1)
    assert "as it was sealed" in verify(head=str(head))
    assert "as it was sealed" in verify(head=head.read_text())


def test_a_trail_that_was_written_anew_is_told_by_the_head() -> None:
    sealed()
    head = verify(export=True)
    for table in (TABLE, SEALS_TABLE):
        execute(f"DELETE FROM {table}")
    assert "The chain was cut off: it ends at seal 0" in problems(head=head)[0]
    sealed(3)
    verify()
    assert problems(head=head) == ["Seal 1 is not the head that was kept: it, or what is before it, was written anew."]


@pytest.mark.parametrize(("head", "said"), [("/no/such/file", "cannot be read"), ("{}", "Expected a head")])
def test_a_head_that_is_none_is_refused(head: str, said: str) -> None:
    with pytest.raises(CommandError, match=said):
        verify(head=head)


def test_a_chain_without_seals_has_no_head() -> None:
    with pytest.raises(CommandError, match="Nothing is sealed yet"):
        verify(export=True)


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL takes no such values")
def test_an_unreadable_row_stops_neither_sealing_nor_verifying() -> None:
    rows = sealed()
    execute(f"UPDATE {TABLE} SET at = 'no time' WHERE id = %s", stored_key(rows[0]))
    execute(f"UPDATE {TABLE} SET id = 'no key' WHERE id = %s", stored_key(rows[1]))
    said = problems()
    assert f"Entry {rows[0].pk} was changed" in said[0]
    assert f"Entry {rows[1].pk} was removed" in said[1]
    assert "Entry no key was put in" in said[2]
    new = entry(pk=uuid4())
    execute(f"UPDATE {TABLE} SET seal = NULL WHERE id = 'no key'")
    tasks.seal()
    assert AuditEntry.objects.filter(pk=new.pk).values_list("seal", flat=True).get() == 2
