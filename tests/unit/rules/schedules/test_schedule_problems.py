"""What is wrong with a schedule, and with what does not go with it: one sentence at its place."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from rules_engine.live.compiler import compile_rule, content_of
from rules_engine.packs.checking import check
from rules_engine.packs.files import parse
from rules_engine.packs.writing import text
from rules_engine.rules import registry
from rules_engine.rules.cascades import analyse
from rules_engine.rules.permissions import needed
from rules_engine.rules.schedules.kinds import KINDS
from rules_engine.rules.validation import rule_problems
from rules_engine.types import ActionSpec, RuleSpec

BEFORE: dict[str, Any] = {
    "kind": "date", "path": "instance.date", "count": 3, "unit": "days", "direction": "before"
}  # fmt: skip
DAILY: dict[str, Any] = {"kind": "every", "each": "day", "at": "08:00"}


def on_date(schedule: Any = BEFORE, **fields: Any) -> RuleSpec:
    return RuleSpec(**{"slug": "r", "name": "R", "model": "clinic.appointment", "schedule": schedule, **fields})


def said(rule: RuleSpec) -> list[tuple[str, str]]:
    return [(problem.pointer, problem.message) for problem in rule_problems(rule)]


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"count": 0},
        {"unit": "months", "direction": "after", "at": "18:00", "zone": "Australia/Lord_Howe"},
        {"unit": "business_days", "late": "skip", "lateness": 60},
        {"unit": "minutes", "count": 15},
    ],
)
def test_a_rule_on_a_date_needs_no_signal(changed: dict[str, Any]) -> None:
    assert said(on_date({**BEFORE, **changed})) == []


@pytest.mark.parametrize(
    ("schedule", "model"),
    [
        (DAILY, ""),
        ({"kind": "every", "cron": "*/5 * * * *"}, ""),
        ({"kind": "every", "each": "week", "day": 1, "step": 2, "zone": "America/New_York", "late": "last"}, ""),
        ({"kind": "every", "each": "month_end", "of": "rows"}, "shop.order"),
        ({**DAILY, "of": "each", "late": "skip"}, "shop.order"),
    ],
)
def test_a_rule_that_acts_every_so_often_needs_no_signal(schedule: dict[str, Any], model: str) -> None:
    assert said(on_date(schedule, model=model)) == []


@pytest.mark.parametrize(
    ("schedule", "pointer", "part"),
    [
        ("daily", "/schedule", "Expected an object such as"),
        ({}, "/schedule/kind", "There is no kind of schedule None"),
        ({"kind": "dat"}, "/schedule/kind", 'Did you mean "date"?'),
        ({"kind": ["date"]}, "/schedule/kind", "There is no kind of schedule"),
        ({**BEFORE, "cuont": 3}, "/schedule/cuont", 'Did you mean "count"?'),
        ({**BEFORE, "count": -1}, "/schedule/count", "from 0 to"),
        ({**BEFORE, "count": True}, "/schedule/count", "got True"),
        ({**BEFORE, "count": 10**9}, "/schedule/count", "Expected a whole number"),
        ({**BEFORE, "count": None}, "/schedule/count", "A whole number from 0 to 3,650 is missing."),
        ({**BEFORE, "unit": "day"}, "/schedule/unit", 'Did you mean "days"?'),
        ({**BEFORE, "unit": ["days"]}, "/schedule/unit", "Expected one of"),
        ({**BEFORE, "direction": "-"}, "/schedule/direction", "before, after"),
        ({**BEFORE, "at": "8:00"}, "/schedule/at", '"08:00"'),
        ({**BEFORE, "at": "24:00"}, "/schedule/at", "Expected a time of day"),
        ({**BEFORE, "at": 8}, "/schedule/at", "Expected a time of day"),
        ({**BEFORE, "unit": "hours", "at": "08:00"}, "/schedule/at", "leave it out"),
        ({**BEFORE, "zone": "Europe/Berln"}, "/schedule/zone", 'Did you mean "Europe/Berlin"?'),
        ({**BEFORE, "zone": "../../etc/passwd"}, "/schedule/zone", "There is no time zone"),
        ({**BEFORE, "zone": 3}, "/schedule/zone", "There is no time zone 3"),
        ({**BEFORE, "late": "last"}, "/schedule/late", "all, skip"),
        ({**BEFORE, "lateness": 1}, "/schedule/lateness", "from 60 to"),
        ({**BEFORE, "path": None}, "/schedule/path", "Expected the path of a date"),
        ({**BEFORE, "path": ""}, "/schedule/path", "Say which date is meant."),
        ({**BEFORE, "path": "date"}, "/schedule/path", "Expected the path of a date"),
        ({**BEFORE, "path": "instance."}, "/schedule/path", "has no field"),
        ({**BEFORE, "path": "instance.dat"}, "/schedule/path", 'Did you mean "date"?'),
        ({**BEFORE, "path": "instance.time"}, "/schedule/path", "is no date"),
        ({**BEFORE, "path": "instance.doctor"}, "/schedule/path", "is no date"),
        ({**BEFORE, "path": "instance.doctor.appointments.date"}, "/schedule/path", "no relation to one object"),
        ({**BEFORE, "path": "instance.doctor.first_name"}, "/schedule/path", "is no date"),
        (DAILY, "/schedule/of", "leave the model out"),
    ],
)
def test_what_is_wrong_is_said_at_its_place(schedule: Any, pointer: str, part: str) -> None:
    problems = said(on_date(schedule))
    assert [place for place, _ in problems] == [pointer]
    assert part in problems[0][1]


@pytest.mark.parametrize(
    ("schedule", "pointer", "part"),
    [
        ({"kind": "every"}, "/schedule/each", "Say how often"),
        ({**DAILY, "cron": "* * * * *"}, "/schedule/each", "not by both"),
        ({**DAILY, "each": "days"}, "/schedule/each", 'Did you mean "day"?'),
        ({**DAILY, "each": 1}, "/schedule/each", "Expected one of"),
        ({**DAILY, "each": "week", "day": 8}, "/schedule/day", "from 1 to 7"),
        ({**DAILY, "each": "month", "day": 29}, "/schedule/day", "from 1 to 28"),
        ({**DAILY, "day": 1}, "/schedule/day", "leave it out"),
        ({**DAILY, "step": 0}, "/schedule/step", "from 1 to 366"),
        ({**DAILY, "of": "all"}, "/schedule/of", "nothing, each, rows"),
    ],
)
def test_what_is_wrong_with_a_choice_is_said_at_its_place(schedule: Any, pointer: str, part: str) -> None:
    problems = said(on_date(schedule, model=""))
    assert [place for place, _ in problems] == [pointer]
    assert part in problems[0][1]


@pytest.mark.parametrize("of", ["each", "rows"])
def test_objects_are_of_a_model(of: str) -> None:
    assert ("/schedule/of", "Name the model whose objects are meant.") in said(on_date({**DAILY, "of": of}, model=""))


def test_a_date_is_of_a_model() -> None:
    assert ("/schedule/path", "Name the model whose objects have the date.") in said(on_date(model=""))


@pytest.mark.parametrize(
    ("fields", "pointer", "part"),
    [
        ({"signals": ("post_save",)}, "/signals", "hears no signals"),
        ({"changes": ({"field": "status"},)}, "/changes", "when nothing changes"),
        ({"operations": ("update",)}, "/operations/0", "does not happen"),
        ({"raw": True}, "/raw", "listens to no signal"),
        ({"condition": {"==": [{"var": "old.status"}, "paid"]}}, "/condition/==/0", 'no "old"'),
        ({"condition": {"==": [{"var": "actor.id"}, 1]}}, "/condition/==/0", 'no "actor"'),
        ({"condition": {"==": [{"var": "rows"}, 1]}}, "/condition/==/0", "goes with a schedule"),
        ({"condition": {"==": [{"var": "due.when"}, 1]}}, "/condition/==/0", '"due" has no "when"'),
    ],
)
def test_what_goes_with_signals_does_not_go_with_time(fields: dict[str, Any], pointer: str, part: str) -> None:
    problems = said(on_date(**fields))
    assert [place for place, _ in problems] == [pointer]
    assert part in problems[0][1]


def log(message: str, **fields: Any) -> ActionSpec:
    return ActionSpec("log_message", {"level": "info", "message": message}, **fields)


@pytest.mark.parametrize("timing", ["before_save", "in_transaction"])
def test_where_no_save_is_nothing_acts_in_its_transaction(timing: Any) -> None:
    action = ActionSpec("write_audit_entry", {"message": "due"}, timing=timing)
    assert "/actions/0/timing" in [place for place, _ in said(on_date(actions=(action,)))]


def test_texts_read_when_it_was_due_and_of_which_date() -> None:
    assert said(on_date(actions=(log("{{ instance.pk }} {{ due.date }} {{ due.at }}"),))) == []


def test_without_a_schedule_nothing_is_due() -> None:
    rule = RuleSpec(slug="r", model="shop.order", signals=("post_save",), actions=(log("{{ due.at }}"),))
    assert [place for place, _ in said(rule)] == ["/actions/0/config/message"]


def test_a_condition_selects_each_object_and_texts_read_the_rows() -> None:
    schedule = {**DAILY, "of": "rows"}
    condition = {"==": [{"var": "instance.status"}, "paid"]}
    rule = on_date(schedule, model="shop.order", condition=condition, actions=(log("{{ rows }} {{ due.count }}"),))
    assert said(rule) == []
    assert [place for place, _ in said(on_date(schedule, model="shop.order", actions=(log("{{ instance.pk }}"),)))] == [
        "/actions/0/config/message"
    ]


def test_rules_without_signals_or_time_are_still_refused() -> None:
    assert ("/signals", "Name at least one signal, such as post_save.") in said(on_date(None))


def test_a_rule_on_time_is_compiled_without_signals_and_reads_its_date() -> None:
    rule = compile_rule(on_date(actions=(log("{{ due.at }}"),)), 1)
    assert (rule.fault, rule.signals, rule.schedule) == ("", frozenset(), BEFORE)
    assert ("instance", "date") in rule.action_reads & rule.match_reads


def test_nothing_sets_off_a_rule_on_time() -> None:
    save = RuleSpec(
        slug="save", model="shop.order", signals=("post_save",), actions=(ActionSpec("send_signal", {"signal": "x"}),)
    )
    cascades = analyse([save, on_date()])
    assert cascades.set_off_by("r") == []


def test_its_author_has_to_be_allowed_to_see_where_the_date_is() -> None:
    schedule = {**BEFORE, "path": "instance.product.created_at"}
    assert needed(on_date(schedule, model="shop.orderitem")) >= {"shop.view_orderitem", "shop.view_product"}


def test_versions_of_rules_without_a_schedule_stay_what_they_were() -> None:
    plain = RuleSpec(slug="r", signals=("post_save",))
    assert "schedule" not in content_of(plain)
    assert content_of(on_date())["schedule"] == BEFORE


def test_packs_have_schedules_and_need_no_signals_then() -> None:
    rule = on_date({**BEFORE, "late": "skip"})
    pack = check(parse(text([rule]).encode()))
    assert ([str(finding) for finding in pack.problems], pack.rules) == ([], [rule])
    fields = {"slug": "r", "name": "R", "model": "clinic.appointment"}
    bare = check([{"model": "rules_engine.rule", "fields": {**fields, "schedule": BEFORE}}])
    assert ([str(finding) for finding in bare.problems], bare.rules) == ([], [on_date()])
    without = check([{"model": "rules_engine.rule", "fields": fields}])
    assert [str(finding) for finding in without.problems] == ['r /signals: Expected "signals", and it is missing.']


@pytest.mark.parametrize("wrong", ["daily", 3, [BEFORE]])
def test_a_pack_whose_schedule_is_no_object_is_refused(wrong: Any) -> None:
    fields = {"slug": "r", "name": "R", "signals": [], "schedule": wrong}
    pack = check([{"model": "rules_engine.rule", "fields": fields}])
    assert [finding.problem.pointer for finding in pack.problems] == ["/schedule"]


def test_every_kind_tells_when_it_was_due() -> None:
    assert registry.find("log_message") is not None
    silent = {name for name, kind in KINDS.items() if "due" not in kind.tells({"kind": name})}
    assert silent == {"often"}, "It acts at a match, which is no time that was due."


STAYS: dict[str, Any] = {"kind": "stays", "count": 2, "unit": "days"}
HEARS: dict[str, Any] = {"signals": ("post_save",), "model": "shop.order"}
PAID: dict[str, Any] = {"==": [{"var": "instance.status"}, "paid"]}


@pytest.mark.parametrize(
    ("fields", "part"),
    [
        ({"signals": ("pre_save",), "condition": PAID}, "pre_save is sent before the change, which may not come to be"),
        ({"signals": ("post_delete",), "condition": PAID}, "What is deleted does not stay anything"),
        ({}, "Say in the condition what has to stay so."),
        ({"operations": ("create", "update")}, "Say in the condition what has to stay so."),
        ({"signals": ("user_logged_in",), "model": "", "condition": None}, "it is its objects that stay so"),
    ],
)
def test_what_cannot_stay_so_is_said_of_its_kind(fields: dict[str, Any], part: str) -> None:
    problems = dict(said(on_date(STAYS, **{**HEARS, **fields})))
    assert part in problems["/schedule/kind"]


@pytest.mark.parametrize(
    "fields",
    [{"condition": PAID}, {"changes": ({"field": "status"},)}, {"operations": ("create",)}],
    ids=["a condition", "a change", "creations alone"],
)
def test_a_wait_that_begins_with_something_is_no_problem(fields: dict[str, Any]) -> None:
    assert said(on_date(STAYS, **{**HEARS, **fields})) == []


def test_a_rule_that_counts_its_matches_does_not_wait_for_more() -> None:
    often = {"kind": "often", "times": 3, "count": 1, "unit": "hours"}
    problems = dict(said(on_date(often, **HEARS, coalesce_seconds=60)))
    assert "takes them together already" in problems["/schedule/kind"]
    assert said(on_date(often, **HEARS)) == []


def test_holidays_go_with_business_days_alone() -> None:
    [problem] = said(on_date({**BEFORE, "holidays": "DE"}))
    assert problem == ("/schedule/holidays", "Holidays count with business days alone; leave them out.")
    assert said(on_date({**BEFORE, "unit": "business_days", "holidays": "DE"})) == []


def test_of_all_objects_at_once_there_is_none_to_act_on_once() -> None:
    rows = {**DAILY, "of": "rows"}
    assert "/once" in [place for place, _ in said(on_date(rows, model="shop.order", once=True))]
    assert "/once" not in [place for place, _ in said(on_date({**DAILY, "of": "each"}, model="shop.order", once=True))]


@pytest.mark.parametrize(
    ("package", "schedule", "model", "pointer"),
    [
        ("cronsim", {"kind": "every", "cron": "0 8 * * *"}, "", "/schedule/cron"),
        ("holidays", {**BEFORE, "unit": "business_days", "holidays": "DE"}, "clinic.appointment", "/schedule/holidays"),
    ],
)
def test_a_package_that_is_not_installed_is_named_with_its_extra(
    package: str, schedule: Any, model: str, pointer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    problems = dict(said(on_date(schedule, model=model)))
    assert f"take the package {package}: install django-signal-rules[schedules]" in problems[pointer]


def test_a_cron_text_that_never_comes_is_refused() -> None:
    [(place, text)] = said(on_date({"kind": "every", "cron": "0 0 30 2 *"}, model=""))
    assert place == "/schedule/cron"
    assert "five fields" in text
