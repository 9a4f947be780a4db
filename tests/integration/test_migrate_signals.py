"""Rules on ``pre_migrate`` and ``post_migrate``, in the process of ``manage.py migrate``, on a fresh database."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fresh import fresh_database, manage, run

pytestmark = pytest.mark.django_db(transaction=True)

LAST = {"==": [{"var": "signal.last"}, True]}
SHOP = {"==": [{"var": "signal.app"}, "shop"]}
#: Commands that say nothing about migrations share the process that looks at what was recorded.
TOLD = """
import json, sys, django
django.setup()
from django.core.management import call_command
from rules_engine.models import Execution
if sys.argv[1:]:
    call_command(*sys.argv[1:], stdout=sys.stderr)
found = Execution.objects.select_related("event").order_by("created_at", "rule_slug")
print(json.dumps([[one.rule_slug, one.state, one.event.context["signal"]] for one in found]))
"""


@pytest.fixture
def fresh(process_environment: dict[str, str], tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment for processes that use a database without any table."""
    with fresh_database(tmp_path) as url:
        yield {**process_environment, "DATABASE_URL": url}


def told(environment: dict[str, str], *command: str) -> list[Any]:
    """What is recorded, after this command of ``manage.py``."""
    found: list[Any] = json.loads(run(environment, "-c", TOLD, *command).stdout)
    return found


def rule(slug: str, signal: str, condition: Any, message: str) -> list[dict[str, Any]]:
    fields = {"slug": slug, "name": slug, "enabled": True, "signals": [signal], "condition": condition}
    action = {"rule": [slug], "position": 0, "kind": "log_message", "config": {"message": message}}
    return [{"model": "rules_engine.rule", "fields": fields}, {"model": "rules_engine.ruleaction", "fields": action}]


def test_rules_hear_the_migrations_of_every_migrate_but_the_first(fresh: dict[str, str], tmp_path: Path) -> None:
    said = manage(fresh, "migrate", "--verbosity", "0")
    assert "could not" not in said
    assert "Traceback" not in said
    pack = tmp_path / "deploys.json"
    text = "{{ signal.app }} {{ signal.plan.0 }} on {{ signal.using }}"
    pack.write_text(
        json.dumps(
            [
                *rule("a-before", "pre_migrate", SHOP, text),
                *rule("b-after", "post_migrate", SHOP, text),
                *rule("c-deployed", "post_migrate", LAST, "Migrated"),
            ]
        )
    )
    assert told(fresh, "rulepack", "install", str(pack)) == []
    manage(fresh, "migrate", "shop", "zero", "--verbosity", "0")
    found = told(fresh)
    assert [one[:2] for one in found] == [[slug, "pending"] for slug in ("a-before", "b-after", "c-deployed")]
    before, after, last = (one[2] for one in found)
    expected = {"app": "shop", "plan": ["shop.0001_initial"], "using": "default", "verbosity": 0, "interactive": True}
    assert before.items() >= expected.items()
    assert after.items() >= expected.items()
    assert last["last"] is True
    assert [one[1] for one in told(fresh, "rules_sweep")] == ["succeeded"] * 3
