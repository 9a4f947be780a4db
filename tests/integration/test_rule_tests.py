"""Tests that are kept with rules: made of recorded events, run by commands, shipped in packs, without any effect."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core import mail
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from rules_engine.models import Event, Execution, HeldMatch, Rule, RuleTest, RuleVersion
from rules_engine.rules.expected.expectation import expectation_of
from rules_engine.test.kept import running as kept
from rules_engine.test.kept.samples import sample_of
from rules_engine.testing import assert_rule_tests, create_rule, run_due
from rules_engine.types import RuleTestSpec
from tests.factories import make_order, order_with_items

pytestmark = pytest.mark.django_db(transaction=True)
NOON = datetime(2031, 5, 6, 12, tzinfo=UTC)
SUBJECT = "Order {{ instance.pk }}: {{ instance.total }}"
MAIL = ("send_email", {"to": ["a@example.com"], "subject": SUBJECT, "body": "Hi"})


def paid_rule(**fields: Any) -> Rule:
    given = {"slug": "paid", "changes": [{"field": "status", "to": "paid"}], "actions": [MAIL], **fields}
    return create_rule("shop.order", **given)


def pay_order(**fields: Any) -> Event:
    order = make_order(status="draft", **fields)
    order.status = "paid"
    order.save()
    return Event.objects.get()


def keep(rule: Rule, event: Event, name: str = "As recorded") -> RuleTest:
    test = RuleTest(rule=rule, name=name, signal=event.signal, operation=event.operation)
    test.occurred_at, test.context = event.occurred_at, sample_of(event.captured().context)
    test.expected = expectation_of(kept.came_of(rule.spec(), test.spec()))
    test.full_clean()
    test.save()
    return test


def made_up(rule: Rule, context: Any, expected: Any = None, **fields: Any) -> RuleTest:
    values = {"signal": "post_save", "operation": "update", "occurred_at": NOON, **fields}
    expected = {"outcome": "acts"} if expected is None else expected
    return RuleTest.objects.create(rule=rule, name="Made up", context=context, expected=expected, **values)


def said_by(*args: Any) -> tuple[str, int]:
    out = StringIO()
    try:
        call_command(*args, stdout=out, stderr=out)
    except CommandError as error:
        return f"{out.getvalue()}{error}", error.returncode
    return out.getvalue(), 0


def differences_of(rule: Rule) -> list[str]:
    spec = Rule.objects.get(pk=rule.pk).spec()
    return [said for verdict in kept.failing(spec) for said in verdict.differences]


def test_a_recorded_event_becomes_a_test_that_passes() -> None:
    rule = paid_rule()
    test = keep(rule, pay_order(total="120.50"))
    assert test.expected["actions"][0]["settings"]["subject"] == f"Order {Event.objects.get().object_pk}: 120.50"
    assert said_by("rules_test") == ("passed  paid: As recorded\n1 test, all passed.\n", 0)


def test_a_rule_that_no_longer_acts_fails_its_test() -> None:
    rule = paid_rule()
    keep(rule, pay_order())
    Rule.objects.update(condition={">": [{"var": "instance.total"}, 100]})
    said, code = said_by("rules_test", "paid")
    assert code == 1
    assert "FAILED  paid: As recorded" in said
    assert 'Expected: it acts. Now: it stops at "Its condition". The condition is false.' in said


def test_another_text_is_told_word_for_word() -> None:
    rule = paid_rule()
    keep(rule, pay_order(total="9.00"))
    action = rule.actions.get()
    action.config = {**action.config, "subject": "Paid: {{ instance.total }}"}
    action.save()
    [said] = differences_of(rule)
    assert said.startswith('"Subject" of action 1 (Send an email): expected “Order ')
    assert said.endswith("9.00”, and now it is “Paid: 9.00”.")


def test_nothing_comes_of_running_tests() -> None:
    rule = paid_rule(throttle_count=1, throttle_seconds=3600, coalesce_seconds=60)
    keep(rule, pay_order())
    run_due()
    tables = (Event, Execution, HeldMatch, RuleVersion, RuleTest)
    before = [list(table.objects.values()) for table in tables]
    with CaptureQueriesContext(connection) as queries:
        assert differences_of(rule) == []
    assert {query["sql"].split()[0] for query in queries} == {"SELECT"}
    assert [list(table.objects.values()) for table in tables] == before
    assert mail.outbox == []


def test_a_rule_that_waits_for_more_says_so() -> None:
    rule = paid_rule(coalesce_seconds=60)
    assert keep(rule, pay_order()).expected["outcome"] == "waits"


def test_a_sample_has_its_own_now() -> None:
    soon = {"<=": [{"now": []}, {"datetime": {"var": "instance.order_number"}}]}
    rule = create_rule("shop.order", condition={"or": [soon, {"==": [{"var": "instance.status"}, "never"]}]})
    context = {"instance": {"pk": 1, "status": "draft", "order_number": (NOON + timedelta(hours=1)).isoformat()}}
    made_up(rule, context)
    assert differences_of(rule) == []
    RuleTest.objects.update(occurred_at=NOON + timedelta(hours=2))
    [said] = differences_of(rule)
    assert "The condition is false." in said


def test_the_dates_of_a_rule_are_held_against_the_sample() -> None:
    rule = paid_rule(active_from=NOON + timedelta(days=1))
    made_up(rule, {"instance": {"pk": 1, "total": 1}, "changes": {"status": {"old": "draft", "new": "paid"}}})
    [said] = differences_of(rule)
    assert 'it stops at "Its dates". It is not active at that time.' in said


def test_a_sample_without_what_the_rule_reads_is_no_pass() -> None:
    rule = create_rule("shop.order", condition={">": [{"var": "instance.total"}, 5]})
    made_up(rule, {"instance": {"pk": 1}}, {"outcome": "stops"})
    [said] = differences_of(rule)
    assert "the sample lacks what the rule reads: instance.total" in said


def each_rule() -> Rule:
    actions = [("log_message", {"message": "{{ each.quantity }}", "level": "info"}, {"for_each": "instance.items"})]
    return paid_rule(actions=actions)


def test_an_action_for_each_row_says_how_often() -> None:
    rows = [{"pk": 1, "quantity": 2}, {"pk": 2, "quantity": 5}]
    changes = {"status": {"old": "draft", "new": "paid"}}
    expected = {"kind": "log_message", "times": 2, "settings": {"message": "2"}}
    rule = each_rule()
    made_up(
        rule, {"instance": {"pk": 1, "items": rows}, "changes": changes}, {"outcome": "acts", "actions": [expected]}
    )
    assert differences_of(rule) == []
    RuleTest.objects.update(context={"instance": {"pk": 1}, "changes": changes})
    assert differences_of(rule)[0].endswith("the sample does not hold the rows that it is done for.")


def test_rows_that_an_event_does_not_hold_are_left_out_of_its_test() -> None:
    rule, order = each_rule(), order_with_items((2, "3.00"), status="draft")
    order.status = "paid"
    order.save()
    [action] = keep(rule, Event.objects.get()).expected["actions"]
    assert action == {"kind": "log_message", "settings": {"level": "info"}}
    assert differences_of(rule) == []


def test_a_setting_that_reads_more_than_the_sample_has_fails() -> None:
    rule = paid_rule()
    keep(rule, pay_order())
    action = rule.actions.get()
    action.config = {**action.config, "subject": "{{ instance.notes }}"}
    action.save()
    assert "The sample lacks what it reads: instance.notes." in differences_of(rule)[0]


def test_expressions_of_an_action_are_worked_out() -> None:
    fields = [{"name": "n", "value": {"var": "instance.pk"}}]
    rule = paid_rule(actions=[("log_message", {"message": "Hi", "fields": fields})])
    test = keep(rule, pay_order())
    told = [{"name": "n", "value": test.context["instance"]["pk"]}]
    assert test.expected["actions"][0]["settings"] == {"message": "Hi", "fields": told}


def test_a_misshapen_sample_is_told_and_never_crashes() -> None:
    rule = paid_rule()
    headers = ({"decimals": ["/x/y"]}, {"cut": 3}, {"cut": [1]}, [])
    for context in ({"instance": 3}, {"changes": []}, {"instnce": {}}, *({"event": header} for header in headers)):
        RuleTest.objects.all().delete()
        made_up(rule, context)
        assert differences_of(rule)


def test_a_test_is_checked_before_it_is_kept() -> None:
    test = RuleTest(rule=paid_rule(), name="n", signal="post_save", occurred_at=NOON)
    test.context, test.expected = [], {"outcome": 1}
    with pytest.raises(ValidationError) as caught:
        test.full_clean()
    assert set(caught.value.message_dict) == {"context", "expected"}


def test_tests_go_along_in_a_pack_and_come_back(tmp_path: Path) -> None:
    rule, path = paid_rule(), tmp_path / "paid.json"
    test = keep(rule, pay_order(total="5.00"))
    spec = test.spec()
    call_command("rulepack", "export", "--output", str(path), stdout=StringIO())
    rule.delete()
    assert not RuleTest.objects.exists()
    said, code = said_by("rulepack", "check", str(path))
    assert (code, "1 test, all passed." in said) == (0, True)
    call_command("rulepack", "install", str(path), stdout=StringIO())
    assert RuleTest.objects.get().spec() == spec
    assert "Nothing to change" in said_by("rulepack", "install", str(path))[0]
    again = tmp_path / "again.json"
    call_command("rulepack", "export", "--output", str(again), stdout=StringIO())
    assert again.read_text() == path.read_text()


def test_loaddata_takes_tests_too(tmp_path: Path) -> None:
    rule, path = paid_rule(), tmp_path / "paid.json"
    spec = keep(rule, pay_order()).spec()
    call_command("rulepack", "export", "--output", str(path), stdout=StringIO())
    rule.delete()
    call_command("loaddata", str(path), stdout=StringIO())
    assert RuleTest.objects.get().spec() == spec
    broken = json.loads(path.read_text())
    broken[-1]["fields"]["expected"] = {"outcome": "flies"}
    path.write_text(json.dumps(broken))
    with pytest.raises(Exception, match='The test "As recorded" of the rule "paid" /expected/outcome: Expected one of'):
        call_command("loaddata", str(path), stdout=StringIO())


def test_a_pack_without_tests_is_written_as_ever() -> None:
    paid_rule()
    out = StringIO()
    call_command("rulepack", "export", stdout=out)
    assert [item["model"] for item in json.loads(out.getvalue())] == ["rules_engine.rule", "rules_engine.ruleaction"]


def test_samples_can_be_left_out_of_a_pack() -> None:
    keep(paid_rule(), pay_order())
    out = StringIO()
    call_command("rulepack", "export", "--without-tests", stdout=out)
    assert "ruletest" not in out.getvalue()


def failing_pack(tmp_path: Path) -> Path:
    path = tmp_path / "paid.json"
    keep(paid_rule(), pay_order())
    RuleTest.objects.update(expected={"outcome": "stops"})
    call_command("rulepack", "export", "--output", str(path), stdout=StringIO())
    Rule.objects.all().delete()
    return path


def test_a_pack_whose_tests_fail_is_not_installed_switched_on(tmp_path: Path) -> None:
    path = failing_pack(tmp_path)
    for args in (("check",), ("install",), ("install", "--dry-run")):
        said, code = said_by("rulepack", args[0], str(path), *args[1:])
        assert code == 1
        assert "Expected: it does not act. Now: it acts." in said
    assert not Rule.objects.exists()
    said, code = said_by("rulepack", "install", str(path), "--disabled")
    assert code == 0
    assert "Switched off: paid. Switch them on under Rules in the admin." in said
    assert not Rule.objects.get().enabled


def test_a_test_of_a_pack_renews_the_one_of_its_name_and_leaves_others(tmp_path: Path) -> None:
    rule, path = paid_rule(), tmp_path / "paid.json"
    event = pay_order()
    keep(rule, event)
    call_command("rulepack", "export", "--output", str(path), stdout=StringIO())
    RuleTest.objects.update(expected={"outcome": "acts"})
    keep(rule, event, "My own")
    said, _ = said_by("rulepack", "install", str(path))
    assert "1 test of rules written." in said
    assert set(RuleTest.objects.values_list("name", flat=True)) == {"As recorded", "My own"}
    assert "actions" in RuleTest.objects.get(name="As recorded").expected


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rule": ["no-such"]}, "/rule/0: The pack has no rule 'no-such'."),
        ({"occurred_at": "yesterday"}, '/occurred_at: Expected a time such as "2031-05-06T08:00:00Z", and got'),
        ({"occurred_at": None}, "/occurred_at: Expected a time"),
        ({"expected": {"outcome": "acts", "gate": "dates"}}, "/expected/gate: A rule that acts stops at no gate"),
        ({"context": [1]}, "/context: Expected an object, and got a list."),
        ({"expectd": {}}, '/expectd: A test has no such field. Did you mean "expected"?'),
    ],
)
def test_what_is_wrong_with_a_test_in_a_pack_is_said(tmp_path: Path, change: Any, said: str) -> None:
    keep(paid_rule(), pay_order())
    path = tmp_path / "paid.json"
    call_command("rulepack", "export", "--output", str(path), stdout=StringIO())
    pack = json.loads(path.read_text())
    pack[-1]["fields"].update(change)
    path.write_text(json.dumps(pack))
    told, code = said_by("rulepack", "check", str(path))
    assert (code, said in told) == (1, True), told
    assert said_by("rules_test", "--pack", str(path))[1] == 2


def test_the_command_says_what_it_cannot_run() -> None:
    paid_rule()
    assert said_by("rules_test", "piad") == ('There is no rule "piad". Did you mean "paid"? Nothing was tested.', 2)
    assert said_by("rules_test", "--pack", "no-such")[1] == 2
    said, code = said_by("rules_test")
    assert (code, said.startswith("No rule has tests yet.")) == (0, True)


def test_the_command_tells_scripts_in_json() -> None:
    keep(paid_rule(), pay_order())
    RuleTest.objects.update(expected={"outcome": "stops"})
    out = StringIO()
    with pytest.raises(CommandError):
        call_command("rules_test", "--format", "json", stdout=out)
    [told] = json.loads(out.getvalue())
    assert (told["rule"], told["test"], told["passed"]) == ("paid", "As recorded", False)
    assert told["differences"]


def test_rules_of_any_number_are_tested_with_as_many_queries() -> None:
    keep(paid_rule(), pay_order())
    with CaptureQueriesContext(connection) as few:
        said_by("rules_test")
    event = Event.objects.get()
    for number in range(4):
        keep(paid_rule(slug=f"paid-{number}"), event)
    with CaptureQueriesContext(connection) as many:
        assert "5 tests, all passed." in said_by("rules_test")[0]
    assert len(many) == len(few)


def test_erasing_an_object_erases_the_samples_of_it() -> None:
    rule = paid_rule()
    event = pay_order()
    keep(rule, event)
    made_up(rule, {"instance": {"pk": 12345}})
    call_command("rules_erase", "shop.order", event.object_pk, "--no-input", stdout=StringIO())
    assert [test.name for test in RuleTest.objects.all()] == ["Made up"]


def test_an_event_id_of_a_made_up_sample_is_the_same_each_time() -> None:
    rule = paid_rule(actions=[("log_message", {"message": "{{ event.id }}"})])
    context = {"instance": {"pk": 1}, "changes": {"status": {"old": "draft", "new": "paid"}}}
    test = RuleTestSpec("n", "post_save", NOON, "update", context)
    came = [kept.came_of(rule.spec(), test).actions[0].settings["message"] for _ in range(2)]
    assert came[0] == came[1]


def test_a_suite_can_hold_rules_to_their_tests() -> None:
    with pytest.raises(AssertionError, match="There are no such tests"):
        assert_rule_tests()
    keep(paid_rule(), pay_order())
    assert_rule_tests()
    assert_rule_tests("paid")
    with pytest.raises(AssertionError, match="There are no tests of piad"):
        assert_rule_tests("paid", "piad")
    RuleTest.objects.update(expected={"outcome": "stops"})
    with pytest.raises(AssertionError, match=r"paid: As recorded: Expected: it does not act\. Now: it acts"):
        assert_rule_tests()


def test_a_suite_can_hold_a_pack_to_its_tests(tmp_path: Path) -> None:
    assert_rule_tests(pack="starter")
    with pytest.raises(AssertionError, match="Now: it acts"):
        assert_rule_tests(pack=failing_pack(tmp_path))
