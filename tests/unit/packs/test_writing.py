"""Rules as a pack's text: the same text for the same rules, read again as the same rules, and without secrets."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from rules_engine.packs.checking import check
from rules_engine.packs.files import parse
from rules_engine.packs.writing import objects, text, without_secrets
from rules_engine.types import ActionSpec, RuleSpec

PLAIN = RuleSpec(
    slug="welcome",
    name="Welcome",
    model="zoo.animal",
    signals=("post_save",),
    actions=(ActionSpec("log_message", {"level": "info", "message": "Hi"}),),
)
FULL = RuleSpec(
    slug="full",
    name="Full",
    description="Says it all.",
    enabled=False,
    shadow=True,
    model="zoo.animal",
    signals=("post_save", "pre_save"),
    operations=("create", "update"),
    changes=({"field": "name", "to": "Rex"},),
    condition={">": [{"var": "instance.legs"}, 2]},
    position=3,
    stop_processing=True,
    raw=True,
    sample_percent=50,
    active_from=datetime(2031, 5, 6, 8, tzinfo=UTC),
    once=True,
    throttle_count=5,
    throttle_seconds=60,
    throttle_by="{{ instance.name }}",
    coalesce_seconds=30,
    coalesce_by="{{ instance.pk }}",
    debounce=True,
    actions=(
        ActionSpec("log_message", {"message": "One", "level": "info"}, delay=60, on_failure="stop"),
        ActionSpec("log_message", {"message": "{{ each.pk }}", "level": "info"}, position=1, for_each="instance.meals"),
    ),
)


@pytest.mark.parametrize("rule", [PLAIN, FULL])
def test_a_written_pack_is_read_as_the_rules_it_was_written_of(rule: RuleSpec) -> None:
    pack = check(parse(text([rule]).encode()))
    assert [str(finding) for finding in pack.problems] == []
    assert pack.rules == [rule]


@pytest.mark.parametrize("rule", [PLAIN, FULL])
def test_what_is_read_is_written_as_the_same_text(rule: RuleSpec) -> None:
    written = text([rule])
    assert text(check(parse(written.encode())).rules) == written


def test_what_goes_without_saying_is_not_written() -> None:
    rule, action = objects([PLAIN])
    assert rule == {
        "model": "rules_engine.rule",
        "fields": {
            "slug": "welcome",
            "name": "Welcome",
            "enabled": True,
            "model": "zoo.animal",
            "signals": ["post_save"],
        },
    }
    assert action["fields"] == {
        "rule": ["welcome"],
        "position": 0,
        "kind": "log_message",
        "config": {"message": "Hi", "level": "info"},
    }


def test_the_order_of_keys_does_not_depend_on_the_databases() -> None:
    turned = RuleSpec(
        slug="full", changes=({"to": 1, "from": 0, "field": "name"},), condition={"if": [{"b": 1, "a": 2}, 1, 2]}
    )
    [rule] = objects([turned])
    assert json.dumps(rule["fields"]["changes"]) == '[{"field": "name", "from": 0, "to": 1}]'
    assert json.dumps(rule["fields"]["condition"]) == '{"if": [{"a": 2, "b": 1}, 1, 2]}'


def test_times_are_written_in_utc() -> None:
    moment = datetime(2031, 5, 6, 8, tzinfo=timezone(timedelta(hours=2)))
    [rule] = objects([RuleSpec(slug="r", active_from=moment)])
    assert rule["fields"]["active_from"] == "2031-05-06T06:00:00Z"


def test_a_text_is_written_in_its_own_letters_and_ends_in_a_line_break() -> None:
    written = text([RuleSpec(slug="r", name="Grüße ✓")])
    assert "Grüße ✓" in written
    assert written.endswith("]\n")


def test_an_unknown_kind_keeps_its_config_by_alphabet() -> None:
    rule = RuleSpec(slug="r", actions=(ActionSpec("nobody_knows", {"b": 1, "a": {"d": 1, "c": 2}}),))
    _, action = objects([rule])
    assert json.dumps(action["fields"]["config"]) == '{"a": {"c": 2, "d": 1}, "b": 1}'


def cleaned(config: Any) -> tuple[Any, list[str]]:
    rule, removed = without_secrets(RuleSpec(slug="r", actions=(ActionSpec("k", config),)))
    return rule.actions[0].config, removed


@pytest.mark.parametrize("key", ["password", "api_token", "X-Secret", "APIKEY_token"])
def test_what_looks_like_a_secret_is_left_out_and_told(key: str) -> None:
    assert cleaned({key: "canary", "other": "kept"}) == ({key: "", "other": "kept"}, [f"/actions/0/config/{key}"])


def test_a_secret_in_a_row_or_an_object_is_found_at_its_place() -> None:
    config, removed = cleaned({"headers": [{"name": "a"}, {"token": "canary"}], "deep": {"password": "canary"}})
    assert "canary" not in json.dumps(config)
    assert removed == ["/actions/0/config/headers/1/token", "/actions/0/config/deep/password"]


@pytest.mark.parametrize("value", ["{{ instance.token }}", "", None, 5, True])
def test_what_is_no_constant_text_is_no_secret(value: Any) -> None:
    assert cleaned({"token": value}) == ({"token": value}, [])
