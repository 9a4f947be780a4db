"""Rule packs: found, checked, installed, compared, written; and what a plain loaddata does with one."""

from __future__ import annotations

import datetime as dt
import io
import json
import logging
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core import mail
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.core.serializers.base import DeserializationError
from django.db import transaction

from project.clinic.models import Appointment, Doctor, Patient
from rules_engine.models import AuditEntry, Execution, Rule, RuleAction, RuleSetVersion, RuleVersion
from rules_engine.packs import checking, files, writing
from rules_engine.testing import create_rule, refresh, run_due
from tests.factories import make_endpoint

CLINIC = Path(__file__).resolve().parents[2] / "fixtures" / "clinic.json"

HAS_MAIL = {"!!": [{"var": "instance.email"}]}

pytestmark = pytest.mark.django_db(transaction=True)


def rule(slug: str = "a-rule", **fields: Any) -> dict[str, Any]:
    base = {"slug": slug, "name": "A rule", "model": "clinic.doctor", "signals": ["post_save"]}
    return {"model": "rules_engine.rule", "fields": {**base, **fields}}


def action(slug: str = "a-rule", position: int = 0, **fields: Any) -> dict[str, Any]:
    base = {"rule": [slug], "position": position, "kind": "log_message", "config": {"message": "x"}}
    return {"model": "rules_engine.ruleaction", "fields": {**base, **fields}}


@pytest.fixture
def pack(tmp_path: Path):
    """Writes a pack's file and gives its path."""

    def write(*objects: Any, text: str | bytes | None = None) -> str:
        path = tmp_path / "some.json"
        content = json.dumps(objects) if text is None else text
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write


def rulepack(*args: str, **options: Any) -> str:
    out = io.StringIO()
    call_command("rulepack", *args, stdout=out, stderr=out, **options)
    return out.getvalue()


def problems(*objects: Any) -> list[str]:
    return [str(finding) for finding in checking.check(list(objects)).problems]


def state() -> tuple[Any, ...]:
    """All that an install may change."""
    return (
        RuleSetVersion.current(),
        list(RuleVersion.objects.order_by("pk").values()),
        list(Rule.objects.order_by("pk").values()),
        list(RuleAction.objects.order_by("pk").values()),
    )


def ada(**fields: Any) -> Doctor:
    return Doctor.objects.create(first_name="Ada", last_name="Byron", email="ada@example.com", **fields)


def book(doctor: Doctor, **fields: Any) -> Appointment:
    patient = Patient.objects.create(name="Grace Hopper", email="grace@example.com")
    when = {"date": dt.date(2026, 3, 2), "time": dt.time(14, 30)}
    return Appointment.objects.create(doctor=doctor, patient=patient, **{**when, **fields})


# The pack `clinic` does what its scenarios say


@pytest.fixture
def clinic() -> None:
    """The pack is installed. What ``loaddata`` makes of it is the same:
    ``test_after_loaddata_an_install_has_nothing_to_do``."""
    rulepack("install", "clinic")
    refresh()


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "rules_engine.messages"]


def test_c01_a_line_is_logged_for_each_thing_that_happens_to_a_doctor(clinic, caplog):
    caplog.set_level(logging.INFO, "rules_engine.messages")
    doctor = ada()
    pk = doctor.pk
    run_due()
    assert messages(caplog) == [f"Doctor created: Ada Byron (id {pk})"]
    doctor.save()
    run_due()
    assert messages(caplog)[1:] == [f"Doctor updated: Ada Byron (id {pk})"]
    doctor.delete()
    run_due()
    assert messages(caplog)[2:] == [f"Doctor deleted: Ada Byron (id {pk})"]


def test_c04_patient_and_doctor_are_mailed_each_on_their_own(clinic):
    doctor = ada()
    run_due()
    mail.outbox.clear()
    book(doctor, notes="Bring the papers & the <scan>.")
    run_due()
    by_recipient = {tuple(message.to): message for message in mail.outbox}
    assert set(by_recipient) == {("grace@example.com",), ("ada@example.com",)}
    patient, to_doctor = by_recipient[("grace@example.com",)], by_recipient[("ada@example.com",)]
    assert patient.subject == "Your appointment on Monday, 2 March 2026 at 14:30"
    assert "Hello Grace Hopper," in patient.body
    assert "with Dr. Ada Byron is booked for Monday, 2 March 2026 at 14:30" in patient.body
    assert "Grace Hopper has an appointment with you on Monday, 2 March 2026 at 14:30" in to_doctor.body
    assert "Bring the papers & the <scan>." in to_doctor.body


def test_c04_who_has_no_address_is_no_failure(clinic):
    doctor = Doctor.objects.create(first_name="No", last_name="Mail")
    book(doctor)
    run_due()
    assert [message.to for message in mail.outbox] == [["grace@example.com"]]
    assert not Execution.objects.exclude(state="succeeded").exists()


def test_c06_a_doctors_cache_keys_go_when_the_doctor_is_saved_or_deleted(clinic):
    doctor = ada()
    for change in (doctor.save, doctor.delete):
        run_due()
        keys = {f"doctor_{doctor.pk}": 1, "doctor_list": 1, "available_doctors": 1, "doctor_0": 1}
        cache.set_many(keys)
        change()
        run_due()
        assert cache.get_many(keys) == {"doctor_0": 1}


def test_c07_doctors_and_appointments_are_audited(clinic):
    doctor = ada()
    appointment = book(doctor)
    appointment.status = "completed"
    appointment.save()
    key = str(appointment.pk)
    appointment.delete()
    run_due()
    trail = AuditEntry.objects.filter(model="clinic.appointment", object_pk=key).order_by("at")
    assert [entry.operation for entry in trail] == ["CREATE", "UPDATE", "DELETE"]
    assert trail[1].changes == {"status": {"old": "scheduled", "new": "completed"}}
    assert trail[1].fields["status"] == "completed"
    assert "notes" not in trail[1].fields
    of_doctor = AuditEntry.objects.get(model="clinic.doctor")
    assert (of_doctor.operation, of_doctor.object_text) == ("CREATE", "Ada Byron")


def test_c14_a_new_doctor_is_welcomed_once(clinic):
    doctor = ada()
    refresh()
    doctor.save()
    run_due()
    run_due()
    assert [(message.to, message.subject) for message in mail.outbox] == [
        (["ada@example.com"], "Welcome to the clinic, Dr. Byron")
    ]


def test_c15_what_is_rolled_back_sends_nothing(clinic):
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        ada()
        raise ZeroDivisionError
    with transaction.atomic(), pytest.raises(ZeroDivisionError), transaction.atomic():
        ada()
        raise ZeroDivisionError
    assert run_due() == 0
    assert mail.outbox == []
    assert AuditEntry.objects.count() == 0


def test_the_webhook_rule_runs_once_its_endpoint_is_there_and_it_is_on(clinic):
    make_endpoint("demo", url="https://example.com/hook")
    Rule.objects.filter(slug="clinic-appointment-webhook").update(enabled=True)
    refresh()
    book(ada())
    call = Execution.objects.get(kind="webhook")
    assert (call.queue, call.lane, call.state) == ("webhooks", "demo", "pending")
    assert "note:" not in rulepack("check", "clinic")


def test_the_file_of_the_pack_is_as_export_writes_it(clinic):
    assert rulepack("export") == CLINIC.read_text()


# Installing


def test_installing_twice_changes_nothing_and_says_so():
    assert "22 rules written" in rulepack("install", "clinic")
    before = state()
    refresh()
    again = rulepack("install", "clinic")
    assert "Nothing to change: 22 rules are as in the pack." in again
    assert state() == before


def test_each_installed_rule_has_one_version_and_no_author():
    rulepack("install", "clinic")
    assert set(Rule.objects.values_list("author", flat=True)) == {None}
    slugs = list(RuleVersion.objects.values_list("rule_slug", flat=True))
    assert len(slugs) == len(set(slugs)) == 22


def test_each_field_of_a_rule_is_installed_and_installed_anew(pack):
    how = {
        "raw": True,
        "sample_percent": 50,
        "active_from": "2031-05-06T08:00:00Z",
        "active_until": "2032-05-06T08:00:00Z",
        "once": True,
        "throttle_count": 3,
        "throttle_seconds": 60,
        "throttle_by": "{{ instance.email }}",
        "stop_processing": True,
        "position": 7,
    }
    each = {"delay": 60, "on_failure": "stop", "for_each": "instance.departments"}
    each |= {"at": "18:00", "zone": "Asia/Tokyo", "asks_again": True}
    rulepack("install", pack(rule(), action()))
    path = pack(rule(**how), action(config={"message": "{{ each.name }}"}, **each))
    rulepack("install", path)
    of_rule, of_action = (written["fields"] for written in writing.objects([Rule.objects.get().spec()]))
    assert {name: of_rule[name] for name in how} == how
    assert {name: of_action[name] for name in each} == each
    assert "Nothing to change" in rulepack("install", path)


def test_after_loaddata_an_install_has_nothing_to_do():
    call_command("loaddata", "clinic", verbosity=0)
    before = state()
    ada()
    assert run_due() > 0
    assert "Nothing to change" in rulepack("install", "clinic")
    assert state() == before


def test_a_changed_pack_updates_its_rule_and_removes_old_actions(pack):
    rulepack("install", pack(rule(), action(), action(position=1), action(position=2)))
    kept = Rule.objects.get().pk
    path = pack(rule(name="Better"), action(position=1, config={"message": "new"}))
    assert "a-rule: updated" in rulepack("install", path)
    assert Rule.objects.get().pk == kept
    assert Rule.objects.get().name == "Better"
    assert list(RuleAction.objects.values_list("position", "config")) == [(1, {"message": "new"})]
    assert RuleVersion.objects.count() == 2


def test_a_rule_keeps_the_switch_it_was_given_here(pack):
    rulepack("install", pack(rule(), action()))
    Rule.objects.update(enabled=False)
    assert "Nothing to change" in rulepack("install", pack(rule(), action()))
    rulepack("install", pack(rule(name="Better"), action()))
    assert not Rule.objects.get().enabled


def test_disabled_installs_switched_off_and_cancels_what_waits(pack):
    rulepack("install", pack(rule(), action()))
    ada()
    rulepack("install", pack(rule(name="Better"), action()), "--disabled")
    assert not Rule.objects.get().enabled
    assert Execution.objects.get().state == "cancelled"
    ada()
    assert Execution.objects.count() == 1


def test_a_dry_run_writes_nothing(pack):
    before = state()
    said = rulepack("install", pack(rule(), action()), "--dry-run")
    assert "a-rule: would be added" in said
    assert state() == before


def test_an_edit_made_here_is_kept_where_the_pack_has_nothing_newer(pack):
    path = pack(rule(), action())
    rulepack("install", path)
    Rule.objects.update(condition=HAS_MAIL)
    said = rulepack("install", path)
    assert "a-rule: kept as it was edited here" in said
    assert Rule.objects.get().condition == HAS_MAIL


def test_an_edit_made_here_stops_a_newer_pack_until_somebody_decides(pack):
    rulepack("install", pack(rule(), action()))
    Rule.objects.update(condition=HAS_MAIL)
    newer = pack(rule(name="Better"), action(), rule("b-rule"), action("b-rule"))
    before = state()
    with pytest.raises(CommandError, match=r"a-rule: .*--overwrite .* --keep"):
        rulepack("install", newer)
    assert state() == before
    rulepack("install", newer, "--keep")
    assert Rule.objects.get(slug="a-rule").condition == HAS_MAIL
    assert Rule.objects.filter(slug="b-rule").exists()
    rulepack("install", newer, "--overwrite")
    assert Rule.objects.get(slug="a-rule").condition is None
    assert Rule.objects.get(slug="a-rule").name == "Better"


def test_a_rule_made_here_under_a_packs_slug_is_not_taken_over(pack):
    create_rule(slug="a-rule", name="Mine", model=Doctor, actions=[("log_message", {"message": "mine"})])
    with pytest.raises(CommandError, match="Nothing was installed"):
        rulepack("install", pack(rule(), action()))
    assert Rule.objects.get().name == "Mine"


def test_what_an_operator_installs_over_anothers_rule_has_no_author(pack):
    user = get_user_model().objects.create_user("ann")
    rulepack("install", pack(rule(), action()))
    Rule.objects.update(author=user, name="Ann's")
    rulepack("install", pack(rule(name="Better"), action()), "--overwrite")
    assert Rule.objects.get().author_id is None


def test_a_pack_with_a_problem_installs_nothing(pack):
    before = state()
    with pytest.raises(CommandError, match="Nothing was installed"):
        rulepack("install", pack(rule(), action(), rule("broken", model="clinic.docter"), action("broken")))
    assert state() == before


# Checking


def test_all_shipped_packs_are_found_and_have_no_problems():
    assert "There is no endpoint" in rulepack("check", "clinic")
    make_endpoint("demo", url="https://example.com/hook")
    assert files.find()["clinic"] == [CLINIC]
    for paths in files.find().values():
        for path in paths:
            assert checking.check(files.read(path)).problems == []
    assert "22 rules, 24 actions, no problems" in rulepack("check", "clinic")


def test_every_problem_is_said_with_its_place_and_the_exit_code_is_1(pack):
    path = pack(
        rule(signals=["post_saved"]),
        rule("b", condition={"==": [{"var": "instance.emial"}, 1]}, kondition=None),
        rule("b2", condition={"==": [{"var": "instance.emial"}, 1]}),
        action(kind="send_mail"),
        action(config={"message": "{{ instance.nope }}"}, position=1),
        action("c"),
        {"model": "rules_engine.rulle", "fields": {}},
    )
    out = io.StringIO()
    with pytest.raises(CommandError) as caught:
        call_command("rulepack", "check", path, stdout=out)
    assert caught.value.returncode == 1
    said = out.getvalue()
    for expected in (
        'a-rule /signals/0: There is no signal "post_saved" here. Did you mean "post_save"?',
        "b /kondition: A rule has no such field. Did you mean",
        "b2 /condition/==/0: ",
        'Did you mean "email"?',
        "a-rule /actions/0/kind",
        'Did you mean "send_email"?',
        "a-rule /actions/1/config/message",
        "object 6 /rule/0: The pack has no rule 'c'.",
        "object 7 /model: There is no model 'rules_engine.rulle'. Did you mean \"rules_engine.rule\"?",
    ):
        assert expected in said
    assert Rule.objects.count() == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[\n  {"model": }\n]', r"This is not JSON \(line 2, column 13\)"),
        ("", r"not JSON \(line 1, column 1\)"),
        (b"\xff\xfe[]", "not UTF-8 text"),
        ("\ufeff[]", "byte order mark"),
        ("[" * 100_000, r"nested deeper than 72 levels \(line 1, column 73\)"),
        ('[{"model": "a", "model": "b"}]', "'model' stands twice"),
        ("[NaN]", "no number NaN"),
        ("[1e999]", "too large to be a number"),
        ("[" + "9" * 10_000 + "]", "does not fit 64 bits"),
        ('{"model": "rules_engine.rule"}', "1 problem"),
        ("[]", "1 problem"),
        ("5", "1 problem"),
        ("[" + "1," * 100_000 + "1]", "1 problem"),
        ("[" + "5," * 2_000 + "5]", "1,000 problems"),
        ("[" + "[]," * 200_000 + "[]]", "more than 200,000 lists and objects; split the pack"),
        ('"' + "x" * 2_000_001 + '"', "larger than 2,000,000 bytes"),
    ],
)
def test_a_file_that_is_no_pack_is_refused_in_a_sentence(pack, text, message):
    with pytest.raises(CommandError, match=message):
        rulepack("check", pack(text=text))


def test_other_models_are_refused(pack):
    user = {"model": "accounts.user", "fields": {"username": "root", "is_superuser": True}}
    endpoint = {"model": "webhooks.endpoint", "fields": {"slug": "x"}}
    found = problems(rule(), action(), user, endpoint)
    assert len(found) == 2
    assert all("A pack holds rules and nothing else" in problem for problem in found)
    with pytest.raises(CommandError):
        rulepack("install", pack(rule(), action(), user))
    assert not get_user_model().objects.exists()


def test_duplicates_are_named():
    found = problems(rule(), rule(), action(), action())
    assert any('There is a rule "a-rule" above' in problem for problem in found)
    assert any("The rule has an action at position 0 above" in problem for problem in found)


def test_a_pack_sets_neither_author_nor_key():
    found = problems({**rule(author=1), "pk": 7}, action(), rule("b", author=["root"]), action("b"))
    assert any("remove the pk" in problem for problem in found)
    assert any(problem.startswith("b /author: A pack has no author") for problem in found)


WRONG_VALUES: list[Any] = [
    None,
    True,
    7,
    -1,
    10**18,
    1.5,
    "",
    "x" * 70_000,
    "\x00",
    [],
    [[]],
    [{}],
    {},
    {"a": [1]},
    ["\x1b[2J"],
]
RULE_KEYS = ["slug", "name", "description", "enabled", "shadow", "model", "signals", "operations", "changes"]


@pytest.mark.parametrize("name", [*RULE_KEYS, "condition", "position", "stop_processing", "author"])
def test_no_value_of_a_rules_field_crashes_the_check(name):
    for value in WRONG_VALUES:
        checking.check([rule(**{name: value}), action()])


@pytest.mark.parametrize("name", ["rule", "position", "kind", "config", "enabled", "timing"])
def test_no_value_of_an_actions_field_crashes_the_check(name):
    for value in WRONG_VALUES:
        checking.check([rule(), action(**{name: value})])


@pytest.mark.parametrize("kind", ["log_message", "send_email", "delete_cache_keys", "write_audit_entry", "webhook"])
def test_no_config_crashes_the_check(kind):
    keys = ["message", "level", "fields", "to", "subject", "body", "html", "keys", "cache", "operation", "endpoint"]
    for key in keys:
        for value in WRONG_VALUES:
            checking.check([rule(), action(kind=kind, config={key: value})])


@pytest.mark.parametrize("one", [None, 1, "x", [], {}, {"model": None}, {"model": "rules_engine.rule", "fields": []}])
def test_no_object_crashes_the_check(one):
    assert problems(one)


def test_what_a_hostile_pack_says_cannot_steer_the_terminal(pack):
    path = pack(rule(signals=["\x1b[2J\u202egone"]), action())
    out = io.StringIO()
    with pytest.raises(CommandError):
        call_command("rulepack", "check", path, stdout=out)
    assert "\x1b" not in out.getvalue()
    assert "\u202e" not in out.getvalue()


def test_a_rule_that_is_shipped_switched_off_may_lack_something_here(pack):
    call = action(kind="webhook", config={"endpoint": "elsewhere"})
    assert "note: a-rule /actions/0/config/endpoint" in rulepack("check", pack(rule(enabled=False), call))
    with pytest.raises(CommandError):
        rulepack("check", pack(rule(), call))


def test_an_unknown_pack_gets_a_suggestion():
    with pytest.raises(CommandError, match=r'There is no rule pack "clinick"\. Did you mean "clinic"\?'):
        rulepack("check", "clinick")


# Comparing and writing


def test_list_says_what_is_installed():
    assert "clinic: 22 rules, 0 installed, 0 of them as in the pack" in rulepack("list")
    rulepack("install", "clinic")
    Rule.objects.filter(slug="c14-doctor-welcome-mail").update(name="Hello")
    assert "clinic: 22 rules, 22 installed, 21 of them as in the pack" in rulepack("list")


def test_diff_shows_what_differs_line_by_line(pack):
    path = pack(rule(), action())
    rulepack("install", path)
    assert "No difference: 1 rule is as in the pack." in rulepack("diff", path)
    Rule.objects.update(name="Mine")
    said = rulepack("diff", path)
    assert '-      "name": "Mine",' in said
    assert '+      "name": "A rule",' in said


def test_an_exported_rule_installs_elsewhere_as_it_was(tmp_path):
    author = get_user_model().objects.create_user("ann")
    create_rule(
        slug="rich",
        name="Rich ✓",
        model=Doctor,
        operations=["update"],
        changes=[{"field": "is_on_vacation", "from": False, "to": True}],
        condition={"!": [{"var": "instance.email"}]},
        actions=[("log_message", {"message": "a"}), ("log_message", {"message": "b"})],
        author=author,
        shadow=True,
    )
    before = Rule.objects.get().spec()
    target = tmp_path / "out.json"
    rulepack("export", "rich", "--output", str(target))
    assert "ann" not in target.read_text()
    Rule.objects.all().delete()
    rulepack("install", str(target))
    after = Rule.objects.get().spec()
    assert after.author_id is None
    assert writing.text([after]) == writing.text([before]) == target.read_text()


def test_export_leaves_out_what_looks_like_a_secret(pack):
    rulepack("install", pack(rule(), action()))
    RuleAction.objects.update(config={"message": "x", "api_token": "hunter2", "rows": [{"password": "hunter2"}]})
    said = rulepack("export", "a-rule")
    assert "hunter2" not in said
    assert "/actions/0/config/rows/0/password: left out" in said


def test_export_of_a_rule_that_is_not_there_writes_nothing(tmp_path):
    target = tmp_path / "out.json"
    with pytest.raises(CommandError, match="There is no rule"):
        rulepack("export", "nope", "--output", str(target))
    assert not target.exists()


# A plain loaddata


@pytest.mark.parametrize(
    ("objects", "message"),
    [
        ([rule(signals="post_save"), action()], r'The rule "a-rule" /signals: Expected a list of texts'),
        ([rule(changes={"field": "x"}), action()], "/changes: Expected a list of objects"),
        ([rule(), action(config=[1])], r'Action 0 of the rule "a-rule" /config: Expected an object'),
        ([rule(), action(timing="later")], "/timing: 'later' cannot stand here"),
        ([rule(condition="\ud800"), action()], "/condition: This text holds a NUL or half"),
        ([rule(model="clinic.docter"), action()], 'a-rule /model: There is no model "clinic.docter"'),
        ([rule(), action(kind="log_massage")], 'a-rule /actions/0/kind: .*Did you mean "log_message"'),
        ([rule(condition={"==": [{"var": "instance.emial"}, 1]}), action()], "a-rule /condition/==/0: "),
    ],
)
def test_loaddata_of_a_bad_pack_names_the_place_and_loads_nothing(pack, objects, message):
    before = state()
    with pytest.raises(Exception, match=message):
        call_command("loaddata", pack(rule("fine"), action("fine"), *objects), verbosity=0)
    assert state() == before


def test_loaddata_takes_an_outdated_rule_that_is_switched_off(pack):
    err = io.StringIO()
    call_command("loaddata", pack(rule(model="gone.model", enabled=False), action()), verbosity=0, stderr=err)
    assert Rule.objects.count() == 1
    assert "note: a-rule /model" in err.getvalue()


def test_an_action_before_its_rule_is_a_problem_for_loaddata(pack):
    assert problems(action(), rule()) == [
        "object 1 /rule/0: The action stands before its rule 'a-rule'; loaddata wants the rule first."
    ]
    with pytest.raises(DeserializationError):
        call_command("loaddata", pack(action(), rule()), verbosity=0)
    assert Rule.objects.count() == 0


def test_a_dump_of_all_rules_can_be_loaded_again(tmp_path):
    rulepack("install", "clinic")
    dump = tmp_path / "dump.json"
    call_command("dumpdata", "rules_engine.rule", "rules_engine.ruleaction", output=str(dump), verbosity=0)
    Rule.objects.all().delete()
    call_command("loaddata", str(dump), verbosity=0)
    assert "Nothing to change" in rulepack("install", "clinic")


def test_loaddata_of_other_data_is_untouched_and_fires_nothing(pack, clinic):
    doctor = {
        "model": "clinic.doctor",
        "pk": 77,
        "fields": {"first_name": "A", "last_name": "B", "email": "a@b.example"},
    }
    call_command("loaddata", pack(doctor), verbosity=0)
    assert Doctor.objects.get().pk == 77
    assert run_due() == 0


def test_a_new_constant_key_is_refused_and_one_that_runs_here_is_not(pack, capsys):
    path = pack(rule(throttle_count=1, throttle_seconds=60, throttle_by="email"), action())
    with pytest.raises(CommandError, match="1 problem"):
        rulepack("install", path)
    assert not Rule.objects.exists()
    call_command("loaddata", path, verbosity=0)
    assert 'note: a-rule /throttle_by: "email" is the same for every match.' in capsys.readouterr().err
    assert "Nothing to change" in rulepack("install", path)
