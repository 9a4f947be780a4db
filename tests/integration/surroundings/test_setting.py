"""The setting SURROUNDINGS: what is no use is said by check, and switching backends are let through with it."""

from __future__ import annotations

from typing import Any

import pytest
from django.core import checks
from django.db import connections

from rules_engine.checks import check_database, check_settings
from rules_engine.errors import NotEntered, SettingsError
from rules_engine.surroundings.state import at_home, here, is_home, shown, text_of, within
from tests.integration.surroundings import shop_of
from tests.integration.surroundings.shop_of import open_in

SETTING = shop_of.SETTING


def said(settings: Any, value: Any) -> list[str]:
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "SURROUNDINGS": value}
    return [message.msg for message in check_settings(None)]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, ""),
        (SETTING, ""),
        ({**SETTING, "home": "public"}, ""),
        ({**SETTING, "own_rules": True}, ""),
        ({**SETTING, "own_rules": "yes"}, "should be None, or a dict of dotted paths"),
        ({**SETTING, "each": SETTING["present"]}, "should be None, or a dict of dotted paths"),
        ({"present": SETTING["present"]}, "should be None, or a dict of dotted paths"),
        ({**SETTING, "entre": "x.y"}, "should be None, or a dict of dotted paths"),
        ({**SETTING, "enter": "enter"}, "should be None, or a dict of dotted paths"),
        ("rules_engine.surroundings.tenants", "should be None, or a dict of dotted paths"),
        ({**SETTING, "enter": "nowhere.at_all"}, "[\"enter\"] names 'nowhere.at_all', which cannot be imported"),
        ({**SETTING, "enter": f"{shop_of.__name__}.SETTING"}, "which is no function."),
        ({**SETTING, "home": {1, 2}}, "expected a value for JSON"),
        ({**SETTING, "home": "x" * 101}, "expected a value of at most 100 characters"),
    ],
)
def test_what_is_no_use_is_said(settings: Any, value: Any, expected: str) -> None:
    sentences = said(settings, value)
    assert len(sentences) == bool(expected)
    assert not expected or expected in sentences[0]


@pytest.mark.postgres("only on it do backends switch schemas")
@pytest.mark.parametrize("is_set", [True, False])
def test_a_backend_that_switches_schemas_wants_the_setting(
    settings: Any, monkeypatch: pytest.MonkeyPatch, is_set: bool
) -> None:
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "SURROUNDINGS": SETTING if is_set else None}
    switching = type("Switching", (type(connections["default"]),), {"__module__": "django_tenants.postgresql_backend"})
    connection = switching({**connections["default"].settings_dict, "ENGINE": "django_tenants.postgresql_backend"})
    monkeypatch.setattr(connections._connections, "default", connection, raising=False)
    found: list[checks.CheckMessage] = check_database(None)
    assert [message.id for message in found] == ([] if is_set else ["rules_engine.E017"])
    assert is_set or "SURROUNDINGS" in str(found[0].hint)


@pytest.mark.postgres("only on it do backends switch schemas")
@pytest.mark.parametrize(("apps", "is_refused"), [(["rules_engine"], True), (["rules_engine_x"], False)])
def test_the_engine_s_tables_in_each_schema_are_refused(
    settings: Any, monkeypatch: pytest.MonkeyPatch, apps: list[str], is_refused: bool
) -> None:
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "SURROUNDINGS": SETTING}
    settings.TENANT_APPS = apps
    switching = type("Switching", (type(connections["default"]),), {"__module__": "django_tenants.postgresql_backend"})
    monkeypatch.setattr(connections._connections, "default", switching(connections["default"].settings_dict))
    assert ["TENANT_APPS" in message.msg for message in check_database(None)] == [True] * is_refused


def test_texts_are_the_same_for_the_same_surroundings() -> None:
    assert text_of({"b": 1, "a": "ü"}) == text_of({"a": "ü", "b": 1}) == '{"a":"ü","b":1}'
    assert text_of(None) == ""
    assert [shown('"north"'), shown('{"a":1}'), shown("")] == ["north", '{"a":1}', ""]
    for value in (object(), "x" * 99, float):
        with pytest.raises(SettingsError):
            text_of(value)


def test_home_is_entered_and_left(settings: Any) -> None:
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "SURROUNDINGS": {**SETTING, "home": "public"}}
    with open_in("north"):
        assert not is_home()
        with at_home():
            assert here() == '"public"'
            assert is_home()
        assert here() == '"north"'
    assert is_home()


def test_those_that_are_entered_already_are_not_entered_again(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "SURROUNDINGS": SETTING}
    monkeypatch.setattr(shop_of, "closed", ["north"])
    with open_in("north"), within('"north"'), within(""):
        assert here() == '"north"'
    with pytest.raises(NotEntered, match="The shop north is closed"), within('"north"'):
        raise AssertionError("The block begins.")


def test_without_the_setting_there_are_none(settings: Any) -> None:
    with open_in("north"), at_home():
        assert here() == ""
        assert is_home()
