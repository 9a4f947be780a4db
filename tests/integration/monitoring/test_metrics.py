"""Metrics: what a scrape says after something happened, who may ask, and what it costs."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from project.clinic.models import Doctor
from rules_engine.live import faults
from rules_engine.models import Execution, Heartbeat, Pause, Tally
from rules_engine.models.tallies import counting
from rules_engine.models.tallies.tally import OTHERS
from rules_engine.monitoring.catalogue import METRICS
from rules_engine.testing import create_rule, refresh, run_due
from rules_engine.work.workers import heartbeats
from tests.factories import make_doctor, make_endpoint
from tests.integration.monitoring.scrapes import ADDRESS, BEARER, Scraped, scrape, text

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("_on")]

AT_ONCE = ("note", {"text": "x"}, {"timing": "in_transaction"})
LOG = ("log_message", {"message": "x"})
#: A constant would be compared beforehand, and rule the rule out without trying it.
NAMED_ADA = {"in": ["Ada", {"var": "instance.first_name"}]}


def evaluations(scraped: Scraped, slug: str) -> dict[str, float]:
    name = "rules_engine_evaluations_total"
    return {labels[0]: value for (found, labels), value in scraped.items() if found == name and labels[1] == slug}


def test_matches_misses_and_errors_are_counted_by_rule() -> None:
    create_rule(Doctor, slug="adas", condition=NAMED_ADA, actions=[LOG])
    assert evaluations(scrape(), "adas") == {"matched": 0, "not_matched": 0, "error": 0}
    make_doctor()
    make_doctor(first_name="Bob")
    make_doctor(first_name="Cid")
    assert evaluations(scrape(), "adas") == {"matched": 1, "not_matched": 2, "error": 0}


def test_a_rule_that_fails_at_each_save_is_counted_at_each() -> None:
    create_rule(Doctor, slug="bad", condition={"+": [{"var": "instance.first_name"}, {}]}, actions=[LOG])
    make_doctor()
    make_doctor()
    assert evaluations(scrape(), "bad")["error"] == 2


def test_executions_attempts_and_their_seconds_are_counted_by_kind() -> None:
    create_rule(Doctor, slug="logs", actions=[LOG])
    make_doctor()
    scraped = scrape()
    assert scraped["rules_engine_due_executions", ("rules",)] == 1
    run_due()
    scraped = scrape()
    assert scraped["rules_engine_due_executions", ("rules",)] == 0
    assert scraped["rules_engine_executions_total", ("log_message", "succeeded")] == 1
    assert scraped["rules_engine_attempts_total", ("log_message", "succeeded")] == 1
    assert scraped["rules_engine_attempt_seconds_count", ("log_message",)] == 1
    assert 0 <= scraped["rules_engine_attempt_seconds_sum", ("log_message",)] < 60
    assert scraped["rules_engine_attempt_seconds_bucket", ("log_message", "+Inf")] == 1


def test_what_is_cancelled_with_its_rule_is_counted() -> None:
    rule = create_rule(Doctor, actions=[LOG])
    make_doctor()
    rule.enabled = False
    rule.save()
    assert scrape()["rules_engine_executions_total", ("(any)", "cancelled")] == 1


@pytest.mark.usefixtures("noted")
def test_what_acts_in_the_process_of_a_save_is_counted() -> None:
    create_rule(Doctor, actions=[AT_ONCE])
    make_doctor()
    assert scrape()["rules_engine_executions_total", ("note", "succeeded")] == 1


@pytest.mark.usefixtures("noted")
def test_what_a_transaction_undoes_was_not_done() -> None:
    create_rule(Doctor, actions=[AT_ONCE])
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        make_doctor()
        raise ZeroDivisionError
    assert scrape()["rules_engine_executions_total", ("note", "succeeded")] == 0


def test_retention_makes_no_counter_smaller() -> None:
    create_rule(Doctor, actions=[LOG])
    make_doctor()
    run_due()
    before = scrape()
    Execution.objects.update(created_at=timezone.now() - timedelta(days=40))
    call_command("rules_prune", verbosity=0)
    assert not Execution.objects.exists()
    after = scrape()
    assert {key: value for key, value in after.items() if key[0].endswith("_total") and value < before[key]} == {}


def test_the_oldest_due_is_told_unless_a_pause_stops_it() -> None:
    create_rule(Doctor, slug="late", actions=[LOG])
    make_doctor()
    Execution.objects.update(next_attempt_at=timezone.now() - timedelta(minutes=10))
    assert 590 < scrape()["rules_engine_oldest_due_seconds", ("rules",)] < 700
    Pause.objects.create(rule_slug="late", mode="hold")
    refresh()
    scraped = scrape()
    assert scraped["rules_engine_oldest_due_seconds", ("rules",)] == 0
    assert scraped["rules_engine_due_executions", ("rules",)] == 1


def test_hosts_at_work_are_told_until_they_fall_silent() -> None:
    assert scrape()["rules_engine_worker_hosts", ("sweep",)] == 0
    heartbeats.reset()
    heartbeats.beat(Heartbeat.Kind.SWEEP)
    scraped = scrape()
    assert scraped["rules_engine_worker_hosts", ("sweep",)] == 1
    assert scraped["rules_engine_worker_seen_seconds", ("sweep",)] < 60
    Heartbeat.objects.update(seen_at=timezone.now() - timedelta(minutes=10))
    scraped = scrape()
    assert scraped["rules_engine_worker_hosts", ("sweep",)] == 0
    assert scraped["rules_engine_worker_seen_seconds", ("sweep",)] > 590


def test_faults_where_rules_are_told_are_counted() -> None:
    before = scrape()["rules_engine_faults_total", ()]
    faults.of_process.note(OSError("disk full"), "could not be told")
    assert scrape()["rules_engine_faults_total", ()] == before + 1


def test_rules_beyond_the_most_that_are_told_apart_are_counted_together() -> None:
    for number in range(4):
        create_rule(Doctor, slug=f"rule-{number}", actions=[LOG])
    few = {"token": "", "labels": 2}
    with override_settings(RULES_ENGINE={"METRICS": few}):
        for _ in range(3):
            make_doctor()
            counting.write_now()
    counted = Tally.objects.filter(name=counting.EVALUATIONS).values_list("labels", "value")
    rows = {labels[0]: value for labels, value in counted}
    assert set(rows) == {"rule-0", "rule-1", OTHERS}
    assert (rows["rule-0"], rows["rule-1"], rows[OTHERS]) == (3, 3, 6)


def test_processes_and_threads_count_together_and_lose_nothing() -> None:
    def count() -> None:
        for _ in range(500):
            # What no thread of an earlier test counts, that sends its hint by now.
            counting.add("rules_engine_hints", ("failed",))

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    counting.write_now()
    for thread in threads:
        thread.join()
    assert scrape()["rules_engine_hints_total", ("failed",)] == 2000
    assert scrape()["rules_engine_hints_total", ("failed",)] == 2000
    assert counting.threads_known() < len(threads), "those that have ended are forgotten"


def test_what_cannot_be_written_is_written_later(monkeypatch: pytest.MonkeyPatch) -> None:
    counting.add("rules_engine_hints", ("sent",))

    def refuse(*_args: Any, **_kwargs: Any) -> None:
        raise DatabaseError("gone")

    with monkeypatch.context() as patch:
        patch.setattr("rules_engine.models.tallies.tally.TallyQuerySet.add", refuse)
        with pytest.raises(DatabaseError):
            counting.write_now()
    assert scrape()["rules_engine_hints_total", ("sent",)] == 1


@pytest.mark.parametrize("label", ["a\x00b", "\ud800", None], ids=["NUL", "half a character", "none"])
def test_a_label_that_no_database_takes_keeps_no_other_back(label: Any) -> None:
    counting.add(counting.EXECUTIONS, (label, "succeeded"))
    counting.add(counting.EXECUTIONS, ("send_email", "succeeded"))
    counting.write_now()
    assert scrape()["rules_engine_executions_total", ("send_email", "succeeded")] == 1


def test_states_of_endpoints_are_told_one_by_one() -> None:
    make_endpoint("crm")
    make_endpoint("erp").disable("It answered 410.")
    scraped = scrape()
    assert scraped["webhooks_endpoint_state", ("crm", "open")] == 1
    assert scraped["webhooks_endpoint_state", ("erp", "open")] == 0
    assert scraped["webhooks_endpoint_state", ("erp", "given_up")] == 1
    assert scraped["webhooks_endpoints", ("given_up",)] == 1


def test_a_save_asks_no_more_with_metrics_than_without() -> None:
    create_rule(Doctor, slug="adas", condition=NAMED_ADA, actions=[LOG])
    make_doctor()
    with CaptureQueriesContext(connection) as on:
        make_doctor()
    with override_settings(RULES_ENGINE={}), CaptureQueriesContext(connection) as off:
        make_doctor()
    assert len(on) == len(off)


def test_a_scrape_asks_no_more_for_more_rows() -> None:
    create_rule(Doctor, actions=[LOG])
    make_doctor()
    with CaptureQueriesContext(connection) as few:
        scrape()
    for _ in range(30):
        make_doctor()
    scrape()
    with CaptureQueriesContext(connection) as many:
        scrape()
    assert len(many) <= len(few)


def test_each_metric_of_the_catalogue_is_told() -> None:
    create_rule(Doctor, actions=[LOG])
    make_doctor()
    run_due()
    told = text()
    assert [metric.name for metric in METRICS if f"# TYPE {metric.name}" not in told] == []


@pytest.mark.parametrize("given", ["", "Bearer", "Bearer wrong", "Basic a-token-of-the-tests", "Bearer \u00e4"])
def test_whoever_has_no_token_is_told_nothing(given: str) -> None:
    response = Client().get(ADDRESS, headers={"Authorization": given})
    assert response.status_code == 401
    assert b"rules_engine_" not in response.content


def test_staff_who_may_view_rules_may_read_them(admin_client: Client) -> None:
    assert admin_client.get(ADDRESS).status_code == 200
    user = get_user_model().objects.create_user("eve", is_staff=True)
    client = Client()
    client.force_login(user)
    assert client.get(ADDRESS).status_code == 401
    user.user_permissions.add(Permission.objects.get(codename="view_rule"))
    assert client.get(ADDRESS).status_code == 200


def test_an_empty_token_lets_nobody_in() -> None:
    with override_settings(RULES_ENGINE={"METRICS": {}}):
        assert Client().get(ADDRESS, headers={"Authorization": "Bearer "}).status_code == 401


def test_where_metrics_are_off_nothing_is_counted_or_told() -> None:
    create_rule(Doctor, actions=[LOG])
    with override_settings(RULES_ENGINE={}):
        make_doctor()
        counting.write_now()
        response = Client().get(ADDRESS, headers=BEARER)
    assert response.status_code == 404
    assert b'RULES_ENGINE["METRICS"]' in response.content
    assert not Tally.objects.exists()


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rules_engine.monitoring.views.missing_library", lambda: True)
    response = Client().get(ADDRESS)
    assert response.status_code == 404
    assert b"pip install django-signal-rules[metrics]" in response.content


def test_a_database_that_cannot_be_read_is_no_error_500(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: Any) -> None:
        raise DatabaseError("password=hunter2")

    monkeypatch.setattr("rules_engine.monitoring.collector._counted", refuse)
    response = Client().get(ADDRESS, headers=BEARER)
    assert response.status_code == 503
    assert b"hunter2" not in response.content


def test_others_may_not_change_anything_by_it() -> None:
    assert Client().post(ADDRESS).status_code == 405
