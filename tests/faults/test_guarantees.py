"""The guarantees of docs/explanation/guarantees.md, each by breaking the thing."""

from __future__ import annotations

import logging
import statistics
import threading
from typing import Any

import django
import pytest
from django.db import connection, connections, transaction

from project.clinic.models import Doctor
from project.clinic.signals import appointment_cancelled
from rules_engine.live import cache, faults
from rules_engine.models import Attempt, Event, Execution, Rule, RuleError
from rules_engine.testing import create_rule, refresh, run_due
from rules_engine.testing.faults.servers import closed_port
from tests import sessions
from tests.factories import make_doctor
from tests.faults.processes import python, said, silent_server

pytestmark = pytest.mark.django_db(transaction=True)

LOG = [("log_message", {"message": "{{ instance.first_name }}"})]
#: The engine's tables, in an order in which they can be renamed.
TABLES = [Event._meta.db_table, Execution._meta.db_table, RuleError._meta.db_table]


def rename(old: str, new: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE {} RENAME TO {}".format(*map(connection.ops.quote_name, (old, new))))


@pytest.mark.parametrize("table", TABLES[:2])
@pytest.mark.parametrize("in_transaction", [True, False])
def test_a_save_commits_when_a_table_of_ours_is_missing(
    table: str, in_transaction: bool, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of a process that has told of no such error a moment ago.
    monkeypatch.setattr(faults, "of_process", faults.Faults())
    create_rule(model=Doctor, actions=LOG)
    before = faults.of_process.total
    rename(table, "elsewhere")
    try:
        if in_transaction:
            with transaction.atomic():
                make_doctor()
                make_doctor(slug="grace")
        else:
            make_doctor()
            make_doctor(slug="grace")
    finally:
        rename("elsewhere", table)
    assert Doctor.objects.count() == 2
    assert any(record.levelno == logging.ERROR for record in caplog.records)
    # SQLite says of a missing table what it says of a database that is gone: nothing is tried twice then.
    if table == Event._meta.db_table or connection.vendor == "sqlite":
        assert faults.of_process.total == before + 2
        assert not Event.objects.exists()
        return
    # What an event led to cannot be stored: that is told on the rule, and no half of it is left.
    assert faults.of_process.total == before
    assert RuleError.objects.count() == 2
    assert {one["outcome"] for event in Event.objects.all() for one in event.evaluations} == {"error"}


def test_a_value_that_cannot_be_told_is_marked_and_breaks_nothing() -> None:
    class Rude:
        def __str__(self) -> str:
            raise RuntimeError("no")

    create_rule(signals=["clinic.appointment_cancelled"], actions=[("log_message", {"message": "{{ signal.reason }}"})])
    before = faults.of_process.total
    appointment_cancelled.send(sender=Doctor, reason=Rude())
    assert faults.of_process.total == before
    assert "RuntimeError" in Event.objects.get().context["signal"]["reason"]["text"]


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
@pytest.mark.parametrize("behaviour", ["refuses", "silent"])
def test_a_save_is_not_held_up_by_a_broker_that(
    behaviour: str, scheme: str, process_environment: dict[str, str]
) -> None:
    create_rule(model=Doctor, actions=LOG)
    code = """
    times = []
    for n in range(20):
        began = time.perf_counter()
        with transaction.atomic():
            doctor(f"d{n}")
        times.append(time.perf_counter() - began)
    say(times=times, waiting=sorted(hints._publisher.queues) or hints._publisher.thread.is_alive())
    """
    if behaviour == "refuses":
        saved = _save_with_broker(code, process_environment, f"{scheme}://127.0.0.1:{closed_port()}/0")
    else:
        with silent_server() as port:
            saved = _save_with_broker(code, process_environment, f"{scheme}://127.0.0.1:{port}/0")
    assert saved["waiting"]
    # No measurement: an unprotected publish holds each save for 4 to 20 seconds, and a busy machine for some 0.05.
    assert statistics.median(saved["times"]) < 1
    assert Doctor.objects.count() == 20
    assert run_due() == 20, "the work was lost with the hint"


def _save_with_broker(code: str, environment: dict[str, str], url: str) -> dict[str, Any]:
    [result] = said(python(code, {**environment, "CELERY_BROKER_URL": url}))
    return result


def test_a_rule_that_another_process_deleted_does_not_fail_a_stale_save() -> None:
    rule = create_rule(model=Doctor, actions=LOG)
    _in_another_connection(lambda: _delete_by_sql(rule))
    assert cache.current().find(rule.slug) is not None, "this process should not know yet"
    with transaction.atomic():
        make_doctor()
    assert Doctor.objects.count() == 1
    run_due()
    assert Execution.objects.get().state == "cancelled"


def _delete_by_sql(rule: Rule) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM rules_engine_ruleaction WHERE rule_id = %s", [rule.pk])
        cursor.execute("DELETE FROM rules_engine_rule WHERE id = %s", [rule.pk])


def _in_another_connection(act: Any) -> None:
    def run() -> None:
        try:
            act()
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()


@pytest.mark.row_locks
def test_a_rule_that_is_being_deleted_does_not_block_a_save() -> None:
    rule = create_rule(model=Doctor, actions=LOG)
    begun, done = threading.Event(), threading.Event()

    def delete() -> None:
        with transaction.atomic():
            _delete_by_sql(rule)
            begun.set()
            done.wait(60)

    thread = threading.Thread(target=lambda: _in_another_connection(delete))
    thread.start()
    assert begun.wait(60)
    try:
        with transaction.atomic():
            sessions.wait_for_no_lock()
            make_doctor()
        assert Execution.objects.count() == 1
    finally:
        done.set()
        thread.join()


def test_an_action_that_raises_is_retried_and_the_save_knows_nothing() -> None:
    create_rule(model=Doctor, actions=[("send_email", {"to": ["{{ instance.email }}"], "subject": "s", "body": "b"})])
    make_doctor()
    Execution.objects.update(config={"to": ["{{ instance.email }}"]})
    assert run_due() == 1
    execution = Execution.objects.get()
    assert execution.state == "retryable"
    assert "subject" in execution.error
    assert Attempt.objects.get().error_type == "KeyError"


def test_a_mail_server_that_refuses_leaves_the_mail_to_be_tried_again(settings: Any) -> None:
    backend, port = "django.core.mail.backends.smtp.EmailBackend", closed_port()
    if django.VERSION >= (6, 1):
        settings.MAILERS = {"default": {"BACKEND": backend, "OPTIONS": {"host": "127.0.0.1", "port": port}}}
    else:
        settings.EMAIL_BACKEND, settings.EMAIL_HOST, settings.EMAIL_PORT = backend, "127.0.0.1", port
    create_rule(model=Doctor, actions=[("send_email", {"to": ["{{ instance.email }}"], "subject": "s", "body": "b"})])
    make_doctor()
    run_due()
    execution = Execution.objects.get()
    assert execution.state == "retryable"
    assert execution.attempts == 1
    assert "mail server" in execution.error
    assert Attempt.objects.get().outcome == "failed"
    for _ in range(20):
        Execution.objects.live().update(next_attempt_at=execution.created_at)
        run_due()
    execution.refresh_from_db()
    assert execution.state == "discarded"
    assert execution.attempts == 9


def test_a_process_killed_between_commit_and_hint_loses_nothing(process_environment: dict[str, str]) -> None:
    create_rule(model=Doctor, actions=LOG)
    code = """
    hints.notify = lambda queue: os.kill(os.getpid(), signal.SIGKILL)
    with transaction.atomic():
        doctor("killed")
    say(survived=True)
    """
    assert said(python(code, process_environment)) == []
    assert Doctor.objects.filter(slug="killed").exists()
    assert run_due() == 1
    assert Execution.objects.get().summary == "Logged: Ada"


def test_a_process_killed_before_its_commit_does_nothing_ever(process_environment: dict[str, str]) -> None:
    create_rule(model=Doctor, actions=LOG)
    code = """
    with transaction.atomic():
        doctor("killed")
        os.kill(os.getpid(), signal.SIGKILL)
    """
    assert said(python(code, process_environment)) == []
    assert not Doctor.objects.exists()
    assert run_due() == 0


def test_another_process_obeys_a_new_rule_within_two_seconds(process_environment: dict[str, str]) -> None:
    code = """
    say(ready=True)
    from django.db.models.signals import post_delete
    sys.stdin.readline()
    began = time.monotonic()
    while not post_delete.has_listeners(Doctor) and time.monotonic() < began + 10:
        time.sleep(0.01)
    say(seconds=time.monotonic() - began)
    Doctor.objects.filter(slug="old").delete()
    """
    make_doctor(slug="old")
    process = python(code, process_environment)
    assert process.stdout is not None
    assert "ready" in process.stdout.readline()
    create_rule(model=Doctor, signals=["post_delete"], actions=LOG)
    [answer] = said_after_newline(process)
    assert answer["seconds"] < 2
    assert run_due() == 1


def said_after_newline(process: Any) -> list[dict[str, Any]]:
    process.stdin.write("\n")
    process.stdin.flush()
    return said(process)


def test_without_the_watcher_rules_are_fresh_at_the_start_of_each_request(process_environment: dict[str, str]) -> None:
    first = """
from django.conf import settings
settings.RULES_ENGINE = {"REFRESH": "request"}
"""
    code = """
    import threading
    from django.core.signals import request_started
    from django.db.models.signals import post_save
    say(ready=True)
    sys.stdin.readline()
    before = post_save.has_listeners(Doctor)
    request_started.send(sender=None, environ={})
    watchers = [thread.name for thread in threading.enumerate() if thread.name == "rules-engine-watcher"]
    say(before=before, after=post_save.has_listeners(Doctor), watchers=watchers)
    """
    process = python(code, process_environment, first=first)
    assert process.stdout is not None
    assert "ready" in process.stdout.readline()
    create_rule(model=Doctor, actions=LOG)
    [answer] = said_after_newline(process)
    assert answer == {"before": False, "after": True, "watchers": []}


def test_a_process_that_saves_at_once_and_ends_still_obeys_the_rules(process_environment: dict[str, str]) -> None:
    create_rule(model=Doctor, actions=LOG)
    said(python("doctor('quick'); say(done=True)", process_environment))
    assert run_due() == 1


@pytest.mark.parametrize("block", ["with transaction.atomic()", "if True"])
def test_a_pre_save_rule_hears_a_process_first_save(process_environment: dict[str, str], block: str) -> None:
    create_rule(model=Doctor, signals=["pre_save"], actions=LOG)
    save = f"""
import django
django.setup()
from django.db import transaction
from project.clinic.models import Doctor
{block}:
    Doctor.objects.create(first_name="Ada", last_name="Byron", email="ada@example.com", slug="first")
"""
    said(python("say(done=True)", process_environment, first=save))
    assert run_due() == 1


def test_a_forked_child_follows_the_rules(process_environment: dict[str, str]) -> None:
    code = """
    import threading
    connection.close()
    child = os.fork()
    if child == 0:
        doctor("child")
        say(watching=any(thread.name == "rules-engine-watcher" for thread in threading.enumerate()))
        os._exit(0)
    os.waitpid(child, 0)
    """
    create_rule(model=Doctor, actions=LOG)
    [answer] = said(python(code, process_environment))
    assert answer["watching"]
    assert run_due() == 1


def test_before_the_first_migrate_the_engine_is_silent(process_environment: dict[str, str], tmp_path: Any) -> None:
    environment = {**process_environment, "DATABASE_URL": f"sqlite:///{tmp_path}/empty.sqlite3"}
    process = python("say(ok=True)", environment)
    out, err = process.communicate(timeout=60)
    assert "ok" in out
    assert err == ""


def test_a_transaction_managed_by_hand_is_served_by_the_sweep() -> None:
    create_rule(model=Doctor, actions=LOG)
    refresh()
    connection.set_autocommit(False)
    try:
        make_doctor()
        connection.commit()
    finally:
        connection.set_autocommit(True)
    assert run_due() == 1
