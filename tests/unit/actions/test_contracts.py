"""The kinds of action that need no database, held to what every kind must hold to; and what each of them does."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.core.cache import caches

from rules_engine.actions.delete_cache_keys import LONGEST_CACHE_KEY, SESSION_PREFIXES
from rules_engine.actions.log_message import LONGEST, logger
from rules_engine.actions.reject import LONGEST_MESSAGE
from rules_engine.errors import PermanentError, Refused, Rejected
from rules_engine.rules import registry
from rules_engine.rules.contract import Action, Preview
from rules_engine.testing import ActionContractTests
from rules_engine.types import ActionContext, Event, RuleSpec, new_id
from tests.zoo.models import Animal

SAVED = RuleSpec(slug="r", model="zoo.animal", signals=("post_save",))
SAVING = RuleSpec(slug="r", model="zoo.animal", signals=("pre_save",))
REX = {"instance": {"pk": 1, "name": "Rex"}}


def kind(name: str) -> Action:
    action = registry.find(name)
    assert action is not None
    return action


def context_of(data: dict[str, Any], instance: Any = None, written: frozenset[str] | None = None) -> ActionContext:
    event_id = new_id()
    at = datetime(2026, 1, 31, tzinfo=UTC)
    event = Event(event_id, "post_save", "update", "zoo.animal", 1, at, event_id, 0, data)
    return ActionContext(new_id(), 1, event, "r", 1, instance=instance, written=written)


class TestLogMessage(ActionContractTests):
    kind = "log_message"
    config = {"message": "Fed {{ instance.name }}", "level": "info", "fields": [{"name": "a", "value": "b"}]}
    context = REX
    rule = SAVED


class TestDeleteCacheKeys(ActionContractTests):
    kind = "delete_cache_keys"
    config = {"keys": ["animal_{{ instance.pk }}"], "cache": "default"}
    context = REX
    rule = SAVED


class TestReject(ActionContractTests):
    kind = "reject"
    config = {"message": "{{ instance.name }} stays.", "field": "name"}
    context = REX
    rule = SAVING


class TestSetFields(ActionContractTests):
    kind = "set_fields"
    config = {"fields": [{"field": "notes", "value": "Fed {{ instance.name }}"}]}
    context = REX
    rule = SAVING


@pytest.mark.parametrize("name", registry.kinds())
def test_every_kind_can_show_what_it_would_do_or_say_why_not(name: str) -> None:
    action = kind(name)
    assert str(action.label) != name
    assert action.timings
    assert action.schema["keys"] or action.only_ordered
    assert type(action).preview is not Action.preview or not type(action).__module__.startswith("rules_engine.")


@pytest.mark.parametrize("name", registry.kinds())
@pytest.mark.parametrize("rule", [SAVED, SAVING, RuleSpec(slug="r", signals=("user_logged_in",)), RuleSpec(slug="r")])
def test_every_kind_says_of_an_empty_config_what_is_missing(name: str, rule: RuleSpec) -> None:
    for problem in kind(name).validate_config({}, rule):
        assert problem.message.rstrip()[-1:] in ".?"
        assert problem.pointer == "" or problem.pointer.startswith("/")


class TestLines:
    """What ``log_message`` writes."""

    def test_a_line_carries_its_level_its_rule_and_its_fields(self, caplog: pytest.LogCaptureFixture) -> None:
        config = {
            "message": "Fed {{ instance.name }}",
            "level": "warning",
            "fields": [{"name": "n", "value": "{{ instance.pk }}"}],
        }
        with caplog.at_level(logging.DEBUG, logger.name):
            result = kind("log_message").run(context_of(REX), config)
        [record] = caplog.records
        assert (record.levelname, record.getMessage(), result.summary) == ("WARNING", "Fed Rex", "Logged: Fed Rex")
        assert (record.rule, record.fields) == ("r", {"n": "1"})  # type: ignore[attr-defined]

    @pytest.mark.parametrize(
        ("name", "written"),
        [
            ("a\nERROR forged", "a\\nERROR forged"),
            ("a\r\tb", "a\\r\\tb"),
            ("\x1b[31mred", "\\x1b[31mred"),
            ("a\u2028b", "a\\u2028b"),
            ("a\x85b", "a\\x85b"),
            ("100%s", "100%s"),
        ],
    )
    def test_no_value_forges_a_line(self, name: str, written: str, caplog: pytest.LogCaptureFixture) -> None:
        config = {"message": "{{ instance.name }}", "fields": [{"name": "n", "value": "{{ instance.name }}"}]}
        with caplog.at_level(logging.INFO, logger.name):
            kind("log_message").run(context_of({"instance": {"name": name}}), config)
        [record] = caplog.records
        assert record.getMessage() == written
        assert record.fields == {"n": written}  # type: ignore[attr-defined]

    def test_a_line_has_an_end(self, caplog: pytest.LogCaptureFixture) -> None:
        config = {"message": "{{ instance.name }}" * 3}
        with caplog.at_level(logging.INFO, logger.name):
            kind("log_message").run(context_of({"instance": {"name": "x" * LONGEST}}), config)
        assert len(caplog.records[0].getMessage()) == LONGEST

    @pytest.mark.parametrize("level", ["fatal", 5])
    def test_a_level_that_there_is_not_is_told(self, level: Any) -> None:
        problems = list(kind("log_message").validate_config({"message": "x", "level": level}, SAVED))
        assert [problem.pointer for problem in problems] == ["/level"]

    @pytest.mark.parametrize("level", ["", None])
    def test_a_level_that_is_left_empty_is_info(self, level: Any, caplog: pytest.LogCaptureFixture) -> None:
        config = {"message": "x", "level": level}
        assert list(kind("log_message").validate_config(config, SAVED)) == []
        with caplog.at_level(logging.INFO, logger.name):
            kind("log_message").run(context_of({}), config)
        assert caplog.records[0].levelname == "INFO"


class TestKeys:
    """What ``delete_cache_keys`` deletes."""

    def test_the_keys_are_gone_and_others_stay(self) -> None:
        caches["default"].set_many({"unit_1": "a", "unit_2": "b"})
        result = kind("delete_cache_keys").run(context_of(REX), {"keys": ["unit_{{ instance.pk }}", "unit_none"]})
        assert caches["default"].get_many(["unit_1", "unit_2"]) == {"unit_2": "b"}
        assert result.detail == {"keys": ["unit_1", "unit_none"]}

    @pytest.mark.parametrize("key", ["", "x" * (LONGEST_CACHE_KEY + 1)])
    def test_a_key_has_a_length_that_caches_take(self, key: str) -> None:
        with pytest.raises(PermanentError, match="1 to 250 characters"):
            kind("delete_cache_keys").run(context_of({"key": key}), {"keys": ["{{ key }}"]})

    @pytest.mark.parametrize("prefix", SESSION_PREFIXES)
    def test_nobody_is_logged_out(self, prefix: str) -> None:
        with pytest.raises(Refused, match="sessions"):
            kind("delete_cache_keys").run(context_of({"key": prefix + "abc"}), {"keys": ["{{ key }}"]})

    def test_a_site_names_the_beginnings_that_may_go(self, settings: Any) -> None:
        settings.RULES_ENGINE = {"CACHE_KEY_PREFIXES": ["animal_"]}
        kind("delete_cache_keys").run(context_of({}), {"keys": ["animal_1"]})
        with pytest.raises(Refused, match="CACHE_KEY_PREFIXES"):
            kind("delete_cache_keys").run(context_of({}), {"keys": ["animal_1", "user_1"]})

    def test_a_cache_that_is_gone_fails_for_good(self) -> None:
        with pytest.raises(PermanentError, match="no such cache"):
            kind("delete_cache_keys").run(context_of({}), {"keys": ["a"], "cache": "gone"})

    @pytest.mark.parametrize(
        ("config", "pointer"),
        [
            ({"keys": []}, "/keys"),
            ({"keys": "a"}, "/keys"),
            ({"keys": ["a", ""]}, "/keys/1"),
            ({"keys": ["a"], "cache": "defalt"}, "/cache"),
            ({"keys": ["{{ instance.nme }}"]}, "/keys/0"),
        ],
    )
    def test_what_is_wrong_with_the_keys_is_said_at_its_place(self, config: dict[str, Any], pointer: str) -> None:
        assert [problem.pointer for problem in kind("delete_cache_keys").validate_config(config, SAVED)] == [pointer]


class TestRejections:
    """What ``reject`` says."""

    @pytest.mark.parametrize(
        ("message", "said"),
        [
            ("{{ instance.name }} stays.", "Rex stays."),
            ("  Not now. \n", "Not now."),
            ("{{ instance.nick|default:'' }}", "This is not allowed."),
            ({"cat": ["No, ", {"var": "instance.name"}]}, "No, Rex"),
        ],
    )
    def test_a_rejection_says_its_message(self, message: Any, said: str) -> None:
        with pytest.raises(Rejected) as caught:
            kind("reject").run(context_of(REX), {"message": message})
        assert caught.value.text == said

    def test_a_rejection_is_as_long_as_a_form_can_show(self) -> None:
        with pytest.raises(Rejected) as caught:
            kind("reject").run(context_of({"text": "x" * 4000}), {"message": "{{ text }}"})
        assert len(caught.value.text) == LONGEST_MESSAGE

    def test_a_message_that_cannot_be_written_is_an_error_and_no_rejection(self) -> None:
        with pytest.raises(PermanentError, match="this event has no"):
            kind("reject").run(context_of({}), {"message": "{{ nothing }}"})

    @pytest.mark.parametrize(
        ("signals", "permissions"),
        [
            (("pre_save",), {"zoo.change_animal"}),
            (("pre_delete",), {"zoo.delete_animal"}),
            (("pre_save", "pre_delete"), {"zoo.change_animal", "zoo.delete_animal"}),
        ],
    )
    def test_who_may_not_do_it_must_not_decide_that_nobody_may(self, signals: Any, permissions: set[str]) -> None:
        rule = RuleSpec(slug="r", model="zoo.animal", signals=signals)
        assert set(kind("reject").permissions({}, rule)) == permissions

    @pytest.mark.parametrize("signals", [(), ("post_save",), ("pre_save", "post_save"), ("user_logged_in",)])
    def test_what_has_happened_cannot_be_rejected(self, signals: Any) -> None:
        rule = RuleSpec(slug="r", model="zoo.animal", signals=signals)
        [problem] = kind("reject").validate_config({"message": "No."}, rule)
        assert "Only what has not happened yet can be rejected" in problem.message


class TestFields:
    """What ``set_fields`` sets on an object that is about to be saved."""

    def set_on(self, animal: Animal, *fields: dict[str, Any], written: frozenset[str] | None = None) -> list[str]:
        context = context_of({"instance": {"name": animal.name}}, animal, written)
        return list(kind("set_fields").run(context, {"fields": list(fields)}).detail["fields"])

    def test_each_field_gets_its_value_as_its_type(self) -> None:
        animal = Animal(name="Rex")
        fields = [
            {"field": "notes", "value": "Good {{ instance.name }}"},
            {"field": "legs", "value": "3"},
            {"field": "weight", "value": {"+": [0.1, 0.2]}},
        ]
        assert self.set_on(animal, *fields) == ["notes", "legs", "weight"]
        assert (animal.notes, animal.legs, animal.weight) == ("Good Rex", 3, Decimal("0.30"))

    @pytest.mark.parametrize(("notes", "expected"), [("", "new"), ("old", "old")])
    def test_a_field_may_be_filled_only_where_it_is_empty(self, notes: str, expected: str) -> None:
        animal = Animal(name="Rex", notes=notes)
        self.set_on(animal, {"field": "notes", "value": "new", "only_if_empty": True})
        assert animal.notes == expected

    def test_one_value_that_cannot_be_worked_out_leaves_all_as_they_were(self) -> None:
        animal = Animal(name="Rex", notes="old", legs=4)
        with pytest.raises(PermanentError):
            self.set_on(animal, {"field": "notes", "value": "new"}, {"field": "legs", "value": "many"})
        assert (animal.notes, animal.legs) == ("old", 4)

    def test_without_an_object_there_is_nothing_to_set(self) -> None:
        for ask in (kind("set_fields").run, kind("set_fields").preview):
            with pytest.raises(PermanentError):
                ask(context_of(REX), {"fields": [{"field": "notes", "value": "x"}]})

    def test_a_preview_sets_nothing(self) -> None:
        animal = Animal(name="Rex", notes="old")
        shown = kind("set_fields").preview(context_of(REX, animal), {"fields": [{"field": "notes", "value": "new"}]})
        assert shown == Preview("Sets notes", {"notes": "new"})
        assert animal.notes == "old"

    @pytest.mark.parametrize("field", ["id", "pk", "nothing", "tags", "meals", "seen_at.year", "", None])
    def test_a_field_that_no_rule_may_set_is_told(self, field: Any) -> None:
        config = {"fields": [{"field": field, "value": "x"}]}
        assert [problem.pointer for problem in kind("set_fields").validate_config(config, SAVING)] == [
            "/fields/0/field"
        ]

    @pytest.mark.parametrize("rule", [SAVED, RuleSpec(slug="r", model="zoo.animal", signals=("pre_save", "post_save"))])
    def test_after_the_save_it_is_too_late(self, rule: RuleSpec) -> None:
        config = {"fields": [{"field": "notes", "value": "x"}]}
        [problem] = kind("set_fields").validate_config(config, rule)
        assert "before the save alone" in problem.message
