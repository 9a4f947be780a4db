from __future__ import annotations

from typing import Any

import pytest
from django.test import override_settings

from rules_engine import conf
from rules_engine.errors import SettingsError
from rules_engine.setting_values import ConfiguredBreaker, ConfiguredHealth, ConfiguredMetrics


def test_every_setting_has_a_default_that_it_accepts(settings: Any) -> None:
    settings.RULES_ENGINE = {}
    assert conf.problems() == []
    for accessor in conf.ACCESSORS.values():
        accessor()


def test_every_accessor_says_what_it_is() -> None:
    assert all(accessor.__doc__ for accessor in conf.ACCESSORS.values())


def test_an_unknown_setting_is_reported_with_the_one_that_was_meant(settings: Any) -> None:
    settings.RULES_ENGINE = {"LEASE_SECOND": 5}
    [problem] = conf.problems()
    assert "'LEASE_SECOND'" in problem
    assert 'Did you mean "LEASE_SECONDS"?' in problem


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REFRESH", "sometimes"),
        ("REFRESH_SECONDS", 0),
        ("HINTS", "yes"),
        ("ANSWER_REJECTIONS", "no"),
        ("QUEUE", ""),
        ("BATCH_SIZE", 0),
        ("BATCH_SIZE", True),
        ("RETRY_SCHEDULE", "10"),
        ("RETRY_SCHEDULE", [10, "x"]),
        ("RETRY_SCHEDULE", [10, float("inf")]),
        ("RETRY_JITTER", 1),
        ("RETENTION_DAYS", -1),
        ("SENSITIVE_FIELDS", "iban"),
        ("EMAIL_DOMAINS", "example.com"),
        ("OLD_VALUES_AT_LOAD", "shop.order"),
        ("TASKS", "shop.tasks.fulfil"),
        ("TASKS", {"shop.tasks.fulfil": None}),
    ],
)
def test_an_unusable_value_is_reported_with_what_was_expected(name: str, value: Any, settings: Any) -> None:
    settings.RULES_ENGINE = {name: value}
    [problem] = conf.problems()
    assert problem.startswith(f"RULES_ENGINE['{name}'] should be ")
    assert repr(value) in problem
    with pytest.raises(SettingsError):
        conf.ACCESSORS[name]()


@pytest.mark.parametrize("value", [["shop.tasks.fulfil"], {"shop.tasks.fulfil": "shop.tasks.fulfil"}])
def test_the_tasks_are_a_list_of_names_or_a_dict_of_names_and_labels(value: Any, settings: Any) -> None:
    settings.RULES_ENGINE = {"TASKS": value}
    assert conf.problems() == []
    assert conf.tasks() == {"shop.tasks.fulfil": "shop.tasks.fulfil"}


def test_a_setting_that_is_no_dict_is_reported(settings: Any) -> None:
    settings.RULES_ENGINE = ["HINTS"]
    assert "should be a dict" in conf.problems()[0]


def test_a_setting_that_changed_is_read_anew(settings: Any) -> None:
    settings.RULES_ENGINE = {"BATCH_SIZE": 7}
    assert conf.batch_size() == 7
    with override_settings(RULES_ENGINE={"BATCH_SIZE": 8}):
        assert conf.batch_size() == 8
    assert conf.batch_size() == 7


def test_what_cannot_be_used_is_an_error_at_every_look(settings: Any) -> None:
    settings.RULES_ENGINE = {"BATCH_SIZE": 0}
    for _look in range(2):
        with pytest.raises(SettingsError, match="BATCH_SIZE"):
            conf.batch_size()


@pytest.mark.parametrize("token", ["too-short", "has a line\nbreak in it, and is long", "ümlaut-in-a-long-token", 7])
def test_a_token_that_cannot_be_used_is_refused_without_being_shown(token: Any, settings: Any) -> None:
    settings.RULES_ENGINE = {"METRICS": {"token": token}}
    [problem] = conf.problems()
    assert "its value is not shown" in problem
    assert "16 characters and more" in problem
    assert str(token) not in problem.replace("16 characters and more", "")


@pytest.mark.parametrize(
    ("breaker", "said"),
    [
        ({"in_row": 3}, "has no 'in_row'. Did you mean \"in_a_row\"?"),
        ({"in_a_row": -1}, "['in_a_row'] should be a whole number of at least 0, and is -1."),
        ({"in_a_row": True}, "['in_a_row'] should be a whole number"),
        ({"percent": 101}, "['percent'] should be a number from 0 to 100"),
        ({"least": 0}, "['least'] should be a whole number of at least 1"),
        ({"seconds": 10**9}, "up to 31,622,400"),
        ({"mail": "everybody"}, 'should be "author", "admins", "both" or "nobody"'),
    ],
)
def test_a_part_of_the_breaker_that_cannot_be_used_is_named(breaker: Any, said: str, settings: Any) -> None:
    settings.RULES_ENGINE = {"BREAKER": breaker}
    [problem] = conf.problems()
    assert said in problem


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HEALTH", {"oldest": 3}),
        ("HEALTH", {"watcher": 0}),
        ("HEALTH", {"public": "yes"}),
        ("SIGNALS", {"paid": {"signal": "shop.signals.paid", "lable": "Paid"}}),
        ("SIGNALS", {"paid": {"label": "Paid"}}),
        ("SIGNALS", {"paid": {"signal": "shop.signals.paid", "arguments": ["order"]}}),
        ("SIGNALS", ["shop.signals.paid"]),
        ("SURROUNDINGS", {"present": "site.tenants.present"}),
        ("SURROUNDINGS", {"present": "present", "enter": "site.tenants.enter"}),
        ("SURROUNDINGS", {"present": "s.present", "enter": "s.enter", "own_rules": "yes"}),
        ("SURROUNDINGS", {"present": "s.present", "enter": "s.enter", "hoem": "public"}),
    ],
)
def test_a_mistyped_part_of_a_setting_is_refused_and_not_passed_over(name: str, value: Any, settings: Any) -> None:
    settings.RULES_ENGINE = {name: value}
    [problem] = conf.problems()
    assert problem.startswith(f"RULES_ENGINE['{name}'] should be ")


COUNTS = [
    *("BATCH_SIZE", "MAX_CRASHES", "MAX_DEPTH", "ROOT_BUDGET", "CONDITION_BUDGET", "TEXT_LIMIT", "ROWS_LIMIT"),
    *("EVENT_BYTES", "EMAIL_RECIPIENTS", "EMAILS_PER_RULE_PER_HOUR", "EMAILS_PER_HOUR", "EMAIL_ATTACHMENT_BYTES"),
]


@pytest.mark.parametrize("value", [2**31, 10**400, float("inf"), 7.0, "7"])
def test_a_count_that_no_database_counts_to_is_refused(value: Any, settings: Any) -> None:
    settings.RULES_ENGINE = dict.fromkeys(COUNTS, value)
    problems = conf.problems()
    assert len(problems) == len(COUNTS)
    assert all("up to 2,147,483,647" in problem for problem in problems)


@pytest.mark.parametrize(
    "written",
    [
        {"REFRESH_SECONDS": 31_622_400, "TROUBLE_SECONDS": 0, "RETENTION_DAYS": 36_525, "BATCH_SIZE": 2**31 - 1},
        {"HEALTH": {"oldest_due": 0.5, "public": False}, "METRICS": {"labels": 1}, "BREAKER": {"in_a_row": 0}},
        {"RETRY_JITTER": 0, "EMAILS_PER_HOUR": None, "AUDIT_RETENTION_DAYS": 0.5, "BREAKER": {"percent": 100}},
    ],
)
def test_the_ends_of_what_may_be_set_may_be_set(written: dict[str, Any], settings: Any) -> None:
    settings.RULES_ENGINE = written
    assert conf.problems() == []


@pytest.mark.parametrize("written", [None, "HINTS", 7])
def test_where_the_setting_is_no_dict_whoever_asks_is_told_so(written: Any, settings: Any) -> None:
    settings.RULES_ENGINE = written
    with pytest.raises(SettingsError, match=f"RULES_ENGINE should be a dict, and is {written!r}"):
        conf.batch_size()


def test_the_usual_of_what_monitors_ask_is_as_the_page_of_settings_has_it(settings: Any) -> None:
    settings.RULES_ENGINE = {"METRICS": {}, "HEALTH": {}}
    assert conf.breaker() == ConfiguredBreaker(in_a_row=50, percent=80, least=100, seconds=3600, mail="author")
    assert conf.metrics() == ConfiguredMetrics(token="", labels=200)
    assert conf.health() == ConfiguredHealth(oldest_due=300, watcher=30, seconds=5, public=True)


@pytest.mark.parametrize(
    ("breaker", "is_on"),
    [({}, True), ({"in_a_row": 0}, True), ({"percent": 0}, True), ({"in_a_row": 0, "percent": 0}, False)],
)
def test_a_breaker_is_off_where_both_of_its_ways_are(breaker: dict[str, int], is_on: bool, settings: Any) -> None:
    settings.RULES_ENGINE = {"BREAKER": breaker}
    assert conf.breaker().is_on == is_on
