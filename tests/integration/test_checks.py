"""What ``manage.py check`` says of a site's settings."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from django.core.checks import WARNING, run_checks
from django.core.checks.registry import registry
from django.db import connection

from project.shop.models import Order
from rules_engine import checks, conf
from rules_engine.testing import create_rule


def found(*, deploy: bool) -> set[str]:
    """What is wrong, at least as a warning: what merely informs tells of the tests' own models."""
    return {
        message.id
        for message in run_checks(include_deployment_checks=deploy)
        if message.level >= WARNING and message.id and message.id.startswith(("rules_engine", "webhooks"))
    }


@pytest.fixture
def careless(settings: Any) -> None:
    """A site without middleware, broker and atomic requests."""
    settings.MIDDLEWARE = [one for one in settings.MIDDLEWARE if "rules_engine" not in one]
    settings.DATABASES = copy.deepcopy(settings.DATABASES)
    settings.DATABASES[connection.alias]["ATOMIC_REQUESTS"] = False


@pytest.mark.filterwarnings("ignore:Overriding setting DATABASES")
@pytest.mark.django_db
def test_what_a_deployment_lacks_is_said_by_check_deploy_alone(careless: None) -> None:
    assert found(deploy=True) == {"rules_engine.W004", "rules_engine.W007"}
    assert found(deploy=False) == set()


@pytest.mark.django_db
def test_the_demo_itself_lacks_nothing() -> None:
    assert found(deploy=True) == set()


# Settings that cannot be used

UNUSABLE: dict[str, Any] = {
    "no dict": None,
    "a name that nobody knows": {"RETENTION_DAY": 30},
    **{f"{name} is an object": {name: object()} for name in conf.ACCESSORS},
    "a path that leads nowhere": {"SURROUNDINGS": {"present": "no.such.present", "enter": "no.such.enter"}},
    "a path to no function": {"SURROUNDINGS": {"present": "project.settings.VAR", "enter": "project.settings.VAR"}},
}


@pytest.mark.django_db
def test_a_setting_that_cannot_be_used_is_all_that_checks_say(settings: Any) -> None:
    create_rule(Order, condition={"==": [{"var": "instance.status"}, "paid"]})
    create_rule(
        signals=(),
        schedule={"kind": "every", "each": "day", "at": "08:00"},
        actions=[("log_message", {"message": "x"})],
    )
    of_all = registry.get_checks(include_deployment_checks=True)
    ours = [check for check in of_all if check.__module__ == checks.__name__]
    told = {}
    for name, settings.RULES_ENGINE in UNUSABLE.items():
        told[name] = {message.id for check in ours for message in check(None)}
    assert told == {name: {"rules_engine.E001"} for name in UNUSABLE}
