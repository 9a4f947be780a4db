"""Commands that are given what nobody means end in a sentence, and in no traceback."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from project.shop.models import Order
from rules_engine.models import Event
from rules_engine.testing import create_rule
from tests.factories import make_order

pytestmark = pytest.mark.django_db

#: Bytes of a command line that are no UTF-8, as Python keeps them.
NO_TEXT = "\udcff"
SOME_ORDER = ("rules_explain", "shop.order", "1")


@pytest.fixture(autouse=True)
def _a_rule() -> None:
    create_rule(Order, slug="r", actions=[("log_message", {"message": "x"})])


def refusal(*command: str) -> str:
    with pytest.raises(CommandError) as refused:
        call_command(*command, stdout=io.StringIO(), stderr=io.StringIO())
    return str(refused.value)


def told(*command: str) -> str:
    out = io.StringIO()
    call_command(*command, stdout=out, stderr=out)
    return out.getvalue()


@pytest.mark.parametrize(
    "command",
    [
        ("rules_explain", "shop.order", NO_TEXT),
        ("rules_explain", f"shop.{NO_TEXT}", "1"),
        ("rules_explain", "--python", NO_TEXT),
        ("rules_erase", "shop.order", NO_TEXT, "--no-input"),
        ("rules_run", NO_TEXT),
        ("rules_run", "r", "--keys", "1", NO_TEXT),
        ("rules_run", "r", "--user", NO_TEXT),
        ("rules_test", "r", NO_TEXT),
        ("rules_sweep", "--queue", NO_TEXT),
        ("rules_triggers", "remove", NO_TEXT),
        ("rulepack", "export", NO_TEXT),
    ],
    ids=lambda command: " ".join(command).encode("ascii", "replace").decode(),
)
def test_an_argument_that_is_no_text_is_refused(command: tuple[str, ...]) -> None:
    assert refusal(*command) in (
        "Expected text in UTF-8, and got \\udcff.",
        "Expected text in UTF-8, and got shop.\\udcff.",
    )


def test_a_file_may_have_any_name(tmp_path: Any) -> None:
    path = tmp_path / f"rules{NO_TEXT}.json"
    call_command("rulepack", "export", "-o", str(path), stdout=io.StringIO())
    assert "It is installed here, and as in the pack." in told("rulepack", "check", str(path))


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ((*SOME_ORDER, "--limit", "0"), "a whole number from 1 to 2,147,483,647, and got '0'"),
        ((*SOME_ORDER, "--limit", "-3"), "a whole number from 1"),
        ((*SOME_ORDER, "--limit", "9" * 30), "a whole number from 1"),
        ((*SOME_ORDER, "--limit", "²"), "a whole number from 1"),
        ((*SOME_ORDER, "--since", ""), "a time such as 2h, 7d or 2026-01-31, and got ''"),
        ((*SOME_ORDER, "--since", "0001-01-01"), "a time such as 2h"),
        ((*SOME_ORDER, "--since", "2031-02-30"), "a time such as 2h"),
        (("rules_sweep", "--limit", "2147483648"), "a whole number from 1"),
        (("rules_sweep", "--seconds", "inf"), "a number of seconds from 0 to 31,622,400, and got 'inf'"),
        (("rules_triggers", "install", "shop.order", "--grace", "nan"), "a number of seconds from 0"),
        (("rules_triggers", "install", "shop.order", "--grace", "soon"), "a number of seconds from 0"),
        (("rules_triggers", "remove", "shop.order", "--grace=-1"), "a number of seconds from 0"),
        (("rules_audit_verify", "--longest-transaction=-5"), "a number of hours, and got '-5'"),
        (("rules_audit_verify", "--longest-transaction", "nan"), "a number of hours"),
        (("rules_audit_verify", "--longest-transaction", "1e300"), "a number of hours"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_number_or_time_that_is_none_is_refused(command: tuple[str, ...], expected: str, settings: Any) -> None:
    settings.TIME_ZONE = "Asia/Tokyo"
    assert f"expected {expected}" in refusal(*command)


@pytest.mark.parametrize("since", ["2026-03-29T02:30", "2026-10-25T02:30", "9999-12-31T23:59"])
def test_times_that_a_clock_skips_or_shows_twice_are_times(since: str, settings: Any) -> None:
    settings.TIME_ZONE = "Europe/Berlin"
    assert f"shop.order 1: not recorded since {since.replace('T', ' ')}:00." in told(*SOME_ORDER, "--since", since)


@pytest.mark.parametrize("key", ["abc", "1" * 30, "-9223372036854775809", "1.5", ""])
@pytest.mark.parametrize("how", ["--dry-run", "--no-wait"])
def test_a_run_on_a_key_that_no_object_can_have_is_refused(key: str, how: str) -> None:
    assert refusal("rules_run", "r", how, f"--keys={key}").startswith(f"shop.Order has no key '{key}': ")


def test_a_run_on_keys_counts_each_object_once() -> None:
    order = make_order()
    key = str(order.pk)
    assert "It would act on 1 object." in told("rules_run", "r", "--dry-run", "--keys", key, key, f"0{key}")


@pytest.mark.parametrize(
    "head",
    [
        '{"seal": 1, "hash": "a", "entries": 1e999, "sealed_at": ""}',
        '{"seal": null, "hash": "a", "entries": 1, "sealed_at": ""}',
        '{"seal": 1, "hash": "a", "entries": 1}',
        "{",
        "{" + '"a":{' * 2_000,
    ],
    ids=["endless", "null", "missing", "cut", "deep"],
)
def test_a_head_that_is_none_is_refused_with_what_a_head_is(head: str) -> None:
    assert refusal("rules_audit_verify", "--head", head).startswith("Expected a head as rules_audit_verify --export")


@pytest.mark.parametrize("file", ["", "/nonexistent", "[1]"])
def test_a_file_of_a_head_that_cannot_be_read_is_named(file: str) -> None:
    assert refusal("rules_audit_verify", "--head", file).startswith("The head cannot be read: ")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("rulepack", "export", "-o", "/nonexistent/x.json"), "/nonexistent/x.json cannot be written: No such file"),
        (("rulepack", "export", "-o", "/"), "/ cannot be written: Is a directory."),
        (("rulepack", "export", "R"), 'There is no rule "R".'),
        (("rulepack", "check", "/"), 'There is no file "/".'),
        (("rulepack", "check", "shp"), 'There is no rule pack "shp". Did you mean "shop"? The packs here are: '),
        (("rulepack", "install", "shop", "--surroundings", "x"), 'The surroundings "x" of the change could not be'),
        (("rules_test", "--pack", ""), 'There is no rule pack "". The packs here are: accounts'),
        (("rules_test", "s"), 'There is no rule "s". Nothing was tested.'),
        (("rules_run", "rr"), 'There is no rule rr that is switched on. Did you mean "r"?'),
        (("rules_run", "r", "--user", "nobody"), 'There is no user "nobody".'),
        (("rules_explain", "shop.order"), "Name the object's model and its key"),
        (("rules_explain", "order", "1"), 'There is no model "order". Did you mean "shop.order"?'),
        (("rules_explain", "", "1"), 'There is no model "". Write it like clinic.doctor.'),
        (("rules_explain", "--python", "rr"), 'There is no rule "rr". Did you mean "r"?'),
        ((*SOME_ORDER, "--surroundings", "x"), 'SURROUNDINGS"] is not set, so all objects of a key are one object.'),
        (("rules_erase", "a.b.c", "1"), 'There is no model "a.b.c".'),
        (("rules_triggers", "remove", "shop.order"), 'No triggers are installed for "shop.order"; rules_triggers'),
        (("rules_triggers", "install", "shop"), 'There is no model "shop".'),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_is_not_there_is_said_with_what_may_have_been_meant(command: tuple[str, ...], said: str) -> None:
    assert said in refusal(*command)


def test_health_names_a_setting_that_cannot_be_used(settings: Any, capsys: pytest.CaptureFixture[str]) -> None:
    settings.RULES_ENGINE = {"HEALTH": {"seconds": "five"}}
    with pytest.raises(SystemExit) as ended:
        call_command("rules_health")
    assert ended.value.code == 2
    assert "RULES_ENGINE['HEALTH'] should be" in capsys.readouterr().err


def test_an_object_whose_key_is_any_text_is_looked_for_and_not_found() -> None:
    Event.objects.update(object_pk="1")
    assert "not recorded" in told("rules_explain", "shop.order", "x" * 5_000)
    assert "Nothing is recorded of shop.order" in told("rules_erase", "shop.order", "' OR 1=1 --", "--no-input")
