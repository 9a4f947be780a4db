"""What is said against a rule, with its place and its remedy."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.utils import translation
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from rules_engine.live.compiler import compile_rule
from rules_engine.models import Rule, RuleAction
from rules_engine.rules.validation import rule_problems
from rules_engine.types import ActionSpec, RuleSpec
from tests.examples import examples

GOOD = {"slug": "r", "name": "R", "model": "zoo.animal", "signals": ("post_save",)}


def problems(**fields: Any) -> dict[str, str]:
    return {one.pointer: one.message for one in rule_problems(RuleSpec(**{**GOOD, **fields}))}


def action(kind: str = "log_message", **config: Any) -> tuple[ActionSpec, ...]:
    return (ActionSpec(kind, config),)


def test_a_good_rule_has_no_problems() -> None:
    assert problems(actions=action(message="{{ instance.name }}")) == {}


@pytest.mark.parametrize(
    ("fields", "pointer", "fragment"),
    [
        ({"signals": ()}, "/signals", "at least one"),
        ({"signals": ("post_sav",)}, "/signals/0", 'Did you mean "post_save"?'),
        ({"model": "zoo.animl"}, "/model", 'Did you mean "zoo.animal"?'),
        ({"model": ""}, "/model", "name it"),
        ({"model": "auth.permission"}, "/model", "may not listen"),
        ({"model": "rules_engine.event"}, "/model", "may not listen"),
        ({"operations": ("crate",)}, "/operations/0", 'Did you mean "create"?'),
        ({"operations": ("delete",)}, "/operations/0", "create, update"),
        ({"changes": ({"field": "nam"},)}, "/changes/0/field", 'Did you mean "name"?'),
        ({"changes": ({"field": "name", "form": 1},)}, "/changes/0/form", 'Did you mean "from"?'),
        ({"changes": ({"field": "legs", "to": "many"},)}, "/changes/0/to", "'many' is no value"),
        ({"changes": ({"field": "tags", "to": 1},)}, "/changes/0", "many objects"),
        ({"changes": ("name",)}, "/changes/0", "Expected an object"),
        ({"condition": {"==": [{"var": "instance.totl"}, 1]}}, "/condition/==/0", "no field"),
        ({"condition": {"==": [{"var": "name"}, 1]}}, "/condition/==/0", 'Did you mean "instance.name"?'),
        ({"condition": {"=": [1, 2]}}, "/condition", 'Did you mean "=="?'),
        ({"condition": {"==": [{"var": "instance.keeper.api_token"}, 1]}}, "/condition/==/0", "may not read"),
        (
            {"condition": {"some": [{"var": "instance.tags"}, {"==": [{"var": "nam"}, 1]}]}},
            "/condition/some/1/==/0",
            'Did you mean "name"?',
        ),
        ({"actions": action("log_mesage")}, "/actions/0/kind", 'Did you mean "log_message"?'),
        ({"actions": action(mesage="x")}, "/actions/0/config/mesage", 'Did you mean "message"?'),
        ({"actions": action(message="{{ instance.nam }}")}, "/actions/0/config/message", 'Did you mean "name"?'),
        ({"actions": action(message="{% laod %}")}, "/actions/0/config/message", "Line 1"),
        ({"actions": action(message="x", level="loud")}, "/actions/0/config/level", "loud"),
        ({"actions": action("delete_cache_keys", keys=["a"], cache="defalt")}, "/actions/0/config/cache", "default"),
        ({"actions": action("send_email", to=[], subject="s", body="b")}, "/actions/0/config/to", "recipient"),
        ({"actions": action("write_audit_entry", fields=["nam"])}, "/actions/0/config/fields/0", "name"),
        ({"actions": (ActionSpec("log_message", [1]),)}, "/actions/0/config", "Expected an object"),
        ({"actions": action(message="x", level=[])}, "/actions/0/config/level", "Expected string"),
        ({"actions": action(message="x", fields=7)}, "/actions/0/config/fields", "7"),
        ({"actions": action("delete_cache_keys", keys=["a"], cache=[])}, "/actions/0/config/cache", "Expected string"),
        ({"actions": action("write_audit_entry", fields=[[]])}, "/actions/0/config/fields/0", "Expected string"),
        ({"signals": ({},)}, "/signals/0", "Expected a name"),
    ],
)
def test_a_problem_names_its_place_and_the_remedy(fields: dict[str, Any], pointer: str, fragment: str) -> None:
    found = problems(**fields)
    assert pointer in found, found
    assert fragment in found[pointer]


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
PARTS = ("model", "signals", "operations", "changes", "condition")


KINDS = st.sampled_from(["log_message", "send_email", "delete_cache_keys", "write_audit_entry", "webhook"]) | json
KEYS = st.sampled_from(
    ["message", "level", "fields", "to", "subject", "body", "keys", "cache", "name", "endpoint", "payload"]
)
CONFIGS = st.dictionaries(KEYS, json, max_size=4) | json


@hypothesis_settings(max_examples=examples(150), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.fixed_dictionaries({}, optional=dict.fromkeys(PARTS, json)), st.lists(st.tuples(KINDS, CONFIGS), max_size=2))
def test_rubbish_in_any_column_is_a_problem_or_a_fault_and_never_a_crash(fields: Any, actions: Any) -> None:
    rule = Rule(slug="r", name="R", **fields)
    spec = rule.spec_with([ActionSpec(kind, config) for kind, config in actions])
    rule_problems(spec)
    compile_rule(spec, 1)


def test_the_fault_of_a_rule_is_in_the_sites_language() -> None:
    broken = RuleSpec(**{**GOOD, "condition": {"var": "instance.nam"}})
    with translation.override("de"):
        assert "Meinten Sie „name“?" in problems(condition=broken.condition)["/condition"]
        assert 'Did you mean "name"?' in compile_rule(broken, 1).fault


@pytest.mark.django_db
def test_full_clean_says_at_their_fields_what_is_wrong() -> None:
    rule = Rule(slug="r", name="R", model="zoo.animal", signals=["post_save"], condition={"var": "instance.nam"})
    with pytest.raises(ValidationError) as caught:
        rule.full_clean()
    assert list(caught.value.message_dict) == ["condition"]
    assert 'Did you mean "name"?' in caught.value.message_dict["condition"][0]
    rule.condition = None
    rule.full_clean()
    rule.save()
    with pytest.raises(ValidationError) as caught:
        RuleAction(rule=rule, kind="log_message", config={"message": "{{ instance.nam }}"}).full_clean()
    assert list(caught.value.message_dict) == ["config"]
    assert caught.value.message_dict["config"][0].startswith("/message: ")


@pytest.mark.django_db
def test_the_system_check_names_a_rule_that_cannot_run() -> None:
    Rule.objects.create(slug="broken", name="Broken", model="zoo.animl", signals=["post_save"])
    with pytest.raises(SystemCheckError, match=r'Rule broken: /model: There is no model "zoo.animl"'):
        call_command("check")


@pytest.mark.django_db  # MySQL and MariaDB are asked for their clock
def test_the_system_check_names_an_unknown_setting(settings: Any) -> None:
    settings.RULES_ENGINE = {"LEASE_SECOND": 1}
    with pytest.raises(SystemCheckError, match="LEASE_SECONDS"):
        call_command("check")
