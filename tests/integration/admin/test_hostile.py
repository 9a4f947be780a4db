"""A site with a past and with hostile texts: every page is right, and asks for little."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import connection
from django.db.models import QuerySet
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from rules_engine.models import AuditEntry, Execution, Pause, Rule
from tests.many_rows import fill

pytestmark = [
    pytest.mark.postgres("a hundred thousand rows are made by its functions"),
    pytest.mark.django_db(transaction=True),
]

TAG = "<script>alert(1)</script>"
HOSTILE = f"{TAG} \u202eهجوم\u202c \"'&amp; </td></table> {{{{ 7|add:1 }}}}"
LONG = "Ü" * 5_000
LISTS = ("rule", "execution", "event", "auditentry", "heldmatch", "pause", "ruleversion")
MOST_QUERIES = 16


def page_of(client: Client, address: str) -> tuple[str, int]:
    with CaptureQueriesContext(connection) as taken:
        response = client.get(address)
    assert response.status_code == 200
    page = response.content.decode()
    assert TAG not in page
    assert page.count("<table") == page.count("</table>")
    # An outline of the page is there to its end, whatever the data.
    assert page.rstrip().endswith("</html>")
    return page, sum(not one["sql"].startswith(("BEGIN", "COMMIT", "ROLLBACK")) for one in taken)


def test_lists_and_pages_stand_a_hundred_thousand_executions(admin_client: Client) -> None:
    fill(rules=1_000, executions=100_000, hostile=HOSTILE)
    for name in LISTS:
        _page, queries = page_of(admin_client, reverse(f"admin:rules_engine_{name}_changelist"))
        assert queries <= MOST_QUERIES, name
    # Some for each queue and each kind of trouble, however many rows there are.
    page, queries = page_of(admin_client, reverse("admin:rules_engine_overview"))
    assert queries <= 4 * MOST_QUERIES
    assert "and 10 more." in page
    shown = admin_client.get(reverse("admin:rules_engine_rule_changelist"), {"p": 20}).context_data["cl"]  # type: ignore[attr-defined]
    assert shown.result_count == 1_000
    assert len(shown.result_list) == 50


def test_texts_of_any_length_and_direction_are_shown_as_texts(admin_client: Client) -> None:
    fill(rules=2, executions=10, hostile=HOSTILE)
    Rule.objects.update(name=(HOSTILE + LONG)[:200], description=LONG)
    Execution.objects.update(error=HOSTILE + LONG, state="discarded")
    QuerySet(AuditEntry).update(note=LONG)
    Pause.objects.create(reason=HOSTILE)
    for name in LISTS:
        page, _queries = page_of(admin_client, reverse(f"admin:rules_engine_{name}_changelist"))
        assert LONG not in page
    for model in (Rule, Execution, AuditEntry):
        row: Any = model._default_manager.first()
        page_of(admin_client, reverse(f"admin:rules_engine_{model._meta.model_name}_change", args=[row.pk]))
    rules, _queries = page_of(admin_client, reverse("admin:rules_engine_rule_changelist"))
    assert re.search(r'<a class="rules-name" dir="auto" href="[^"]*">&lt;script&gt;', rules)
