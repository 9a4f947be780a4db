"""What ``manage.py check`` says of a site's settings."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from django.core.checks import WARNING, run_checks
from django.db import connection


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
