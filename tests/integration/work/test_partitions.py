"""The tables that grow, partitioned by time: nothing changes for saves and workers; what is old is dropped whole."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection, connections, transaction
from django.utils import timezone

from rules_engine.databases.partitions import first_key, moment
from rules_engine.models import Attempt, Event, Execution, HeldMatch
from rules_engine.outbox import partitions
from rules_engine.testing import create_rule, run_due
from rules_engine.testing.faults.waiting import eventually
from rules_engine.work import retention
from tests.factories import make_animals
from tests.zoo.models import Animal

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres("no other has its tables partitioned")]

NAMES = [model._meta.db_table for model, _key in partitions.TABLES]
NOW = timezone.now()


def said(*arguments: Any, **options: Any) -> str:
    out = StringIO()
    call_command("rules_partitions", *arguments, **options, stdout=out)
    return out.getvalue()


def run_sql(sql: str) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall() if cursor.description else []


@pytest.fixture(autouse=True)
def plain_again() -> Iterator[None]:
    """The tables as they were, for the tests after this one."""
    yield
    for model, _key in partitions.TABLES:
        table = model._meta.db_table
        if run_sql(f"SELECT 1 FROM pg_partitioned_table WHERE partrelid = '{table}'::regclass"):
            run_sql(f"DROP TABLE {table} CASCADE")
            with connection.schema_editor() as editor:
                editor.create_model(model)


def event(key: UUID) -> None:
    """An event with that key."""
    Event.objects.create(id=key, signal="post_save", occurred_at=NOW, root_id=key)


def matched(*names: str) -> None:
    """As many saves as names, and what they lead to."""
    create_rule(Animal, operations=["create"], actions=[("write_audit_entry", {"note": "{{ instance.name }}"})])
    make_animals(*names)
    run_due()


def is_waited_for(table: str) -> bool:
    """Whether somebody waits to have a table alone."""
    waits = "SELECT 1 FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock' AND relation = "
    return bool(run_sql(f"{waits}'{table}'::regclass"))


def test_a_save_that_is_under_way_ends_before_tables_are_partitioned() -> None:
    def convert() -> None:
        partitions.convert()
        connections.close_all()

    thread = threading.Thread(target=convert)
    with transaction.atomic():
        event(first_key(NOW))
        thread.start()
        eventually(lambda: any(map(is_waited_for, NAMES)))
        run_sql(f"LOCK TABLE {Execution._meta.db_table} IN ROW EXCLUSIVE MODE")  # as writing an execution does
    thread.join(60)
    assert all(told.partitions for told in partitions.state())
    assert Event.objects.count() == 1


def test_what_comes_to_the_tables_the_other_way_is_not_undone() -> None:
    """As pruning does, which looks for attempts whose execution is gone."""

    def convert() -> None:
        partitions.convert()
        connections.close_all()

    matched("a")
    thread = threading.Thread(target=convert)
    with transaction.atomic():
        assert Attempt.objects.count() == 1
        thread.start()
        eventually(lambda: is_waited_for(Attempt._meta.db_table))
        # The other has the table of executions now: whichever of the two PostgreSQL undid would fail.
        assert Execution.objects.filter(state="succeeded").count() == 1
        assert retention._left_behind(days=1).count() == 0
    thread.join(60)
    assert all(told.partitions for told in partitions.state())


def test_who_is_in_the_way_for_too_long_keeps_tables_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partitions, "CONVERT_LOCK_SECONDS", 0.5)
    failed: list[BaseException] = []

    def convert() -> None:
        try:
            partitions.convert()
        except OperationalError as error:
            failed.append(error)
        connections.close_all()

    with transaction.atomic():
        assert Attempt.objects.count() == 0
        thread = threading.Thread(target=convert)
        thread.start()
        thread.join(60)
    assert len(failed) == 1
    assert not any(told.partitions for told in partitions.state())


def old(days: int, *rows: Any) -> None:
    """Have all that is there happened so many days ago: keys and times."""
    ago = NOW - timedelta(days=days)
    for number, execution in enumerate(Execution.objects.order_by("pk")):
        event, key = execution.event_id, UUID(int=first_key(ago).int + number)
        Event.objects.filter(pk=event).update(id=key, created_at=ago)
        Attempt.objects.filter(execution=execution.pk).update(execution=key, started_at=ago)
        Execution.objects.filter(pk=execution.pk).update(id=key, event=key, created_at=ago)


def counts() -> list[int]:
    return [model._default_manager.count() for model in (Event, Execution, Attempt)]


def test_what_was_there_and_what_comes_is_found_and_carried_out() -> None:
    matched("a", "b")
    assert said("convert").count("is partitioned") == 3
    make_animals("c", "d")
    run_due()
    assert counts() == [4, 4, 4]
    assert set(Execution.objects.values_list("state", flat=True)) == {"succeeded"}
    assert {partition.is_rest for partition in partitions.state()[0].partitions} == {True, False}
    ids = list(Attempt.objects.order_by("id").values_list("id", flat=True))
    assert len(set(ids)) == 4, "keys are counted on"
    assert Attempt.objects.get(pk=ids[-1]).execution.event.signal == "post_save"


def test_names_of_indexes_and_constraints_stay_the_tables() -> None:
    query = (
        f"SELECT tablename, indexname FROM pg_indexes WHERE tablename IN ({', '.join(map(repr, NAMES))}) ORDER BY 1, 2"
    )
    before = run_sql(query)
    said("convert")
    assert run_sql(query) == before
    assert said("convert") == "All tables are partitioned already; rules_partitions status shows them.\n"


def test_no_row_waits_for_its_partition() -> None:
    said("convert", days=1)
    future = [first_key(NOW + timedelta(days=days)) for days in (0, 3, 30)]
    for key in future:
        event(key)
    said("extend", ahead=40)
    assert set(Event.objects.values_list("pk", flat=True)) == set(future)
    table = NAMES[2]
    assert run_sql(f"SELECT count(*) FROM {table}_rest") == [(0,)], "what the rest held has a partition of its own now"
    ahead = partitions.state()[2].partitions
    assert moment(ahead[-2].high) >= NOW + timedelta(days=40)
    assert all(first.high == second.low for first, second in pairwise(ahead[:-1]))


def test_what_is_old_is_dropped_with_its_partition(settings: Any) -> None:
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "RETENTION_DAYS": 30}
    matched("a", "b")
    old(60)
    partitions.convert(7, now=NOW - timedelta(days=55))
    make_animals("c")
    run_due()
    told = retention.prune(dry_run=True)
    assert (told["executions"], counts()) == (2, [3, 3, 3])
    assert retention.prune() == {**told, "attempts": 2, "events": 2}
    assert counts() == [1, 1, 1]
    assert min(partition.high for partition in partitions.state()[0].partitions if partition.high) > first_key(
        NOW - timedelta(days=30)
    )


def test_a_partition_with_something_that_has_not_ended_stays(settings: Any) -> None:
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "RETENTION_DAYS": 30}
    matched("a", "b")
    old(60)
    partitions.convert(7, now=NOW - timedelta(days=55))
    Execution.objects.filter(pk=Execution.objects.first().pk).update(state="retryable", next_attempt_at=NOW)
    names = [told.partitions[0].name for told in partitions.state()]
    retention.prune()
    assert counts() == [1, 1, 1], "what has ended is pruned row by row"
    assert [told.partitions[0].name for told in partitions.state()] == names
    Execution.objects.update(state="succeeded")
    retention.prune()
    assert counts() == [0, 0, 0]
    assert not set(names) & {told.partitions[0].name for told in partitions.state()}


def test_the_event_of_a_match_that_waits_stays(settings: Any) -> None:
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "RETENTION_DAYS": 30}
    key = first_key(NOW - timedelta(days=60))
    event(key)
    HeldMatch.objects.create(event_id=key, rule_slug="r", rule_version=1, state="waiting", due_at=NOW)
    partitions.convert(7, now=NOW - timedelta(days=55))
    retention.prune()
    assert Event.objects.filter(pk=key).exists()


def test_pruning_lets_nobody_wait_for_a_partition(settings: Any) -> None:
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "RETENTION_DAYS": 30}
    matched("a")
    old(60)
    partitions.convert(7, now=NOW - timedelta(days=55))
    partitions.extend()
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute(f"BEGIN; SELECT count(*) FROM {NAMES[0]}")
        retention.prune()
        cursor.execute("ROLLBACK")
    other.close()
    assert Event.objects.count() == 0, "its rows were removed, and the partition is left to the next time"
    retention.prune()
    assert moment(partitions.state()[0].partitions[0].high) > NOW - timedelta(days=30)


def test_what_would_not_come_along_is_said_and_nothing_is_changed() -> None:
    run_sql(f"CREATE VIEW busy AS SELECT id FROM {NAMES[0]}")
    try:
        with pytest.raises(CommandError, match="cannot be partitioned: views read it busy"):
            said("convert")
        assert said("status").count("is not partitioned") == 3
    finally:
        run_sql("DROP VIEW busy")


def test_the_command_says_what_there_is_and_what_to_do() -> None:
    with pytest.raises(CommandError, match="No table is partitioned yet; rules_partitions convert does that"):
        said("extend")
    with pytest.raises(CommandError, match="a partition has 1 to 366 days"):
        said("convert", days=0)
    said("convert", days=7)
    told = said("status")
    assert told.count("what no other takes") == 3
    assert "all before " in told
    assert datetime.now(UTC).strftime("%Y") in told


def test_another_role_may_go_on(settings: Any) -> None:
    run_sql("DROP ROLE IF EXISTS rules_partitions_reader")
    run_sql("CREATE ROLE rules_partitions_reader")
    try:
        run_sql(f"GRANT SELECT, INSERT ON {', '.join(NAMES)} TO rules_partitions_reader")
        said("convert")
        with transaction.atomic():
            run_sql("SET LOCAL ROLE rules_partitions_reader")
            assert [run_sql(f"SELECT count(*) FROM {name}") for name in NAMES] == [[(0,)]] * 3
    finally:
        run_sql("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM rules_partitions_reader")
        run_sql("DROP ROLE rules_partitions_reader")
