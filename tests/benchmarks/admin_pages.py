"""How long the admin's pages take on a site with a past, and how many queries: 1,000 rules, 100,000 executions.

``DATABASE_URL=postgres://… python -m tests.benchmarks.admin_pages [RULES [EXECUTIONS]]`` prints a table. The goal is
12 queries and 300 ms for a list, whatever the number of rows. Never a test.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
os.environ.setdefault("DEMO_VAR", tempfile.mkdtemp(prefix="signal-rules-benchmarks-"))

import django

django.setup()

from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext, setup_databases, setup_test_environment, teardown_databases
from django.urls import reverse

from rules_engine.models import AuditEntry, Event, Execution, Rule
from tests.many_rows import fill

ROUNDS = 7


def pages() -> dict[str, str]:
    """What is measured, by what the table calls it."""
    found = {
        f"list: {name}": reverse(f"admin:rules_engine_{name}_changelist")
        for name in ("rule", "execution", "event", "auditentry", "heldmatch", "pause", "ruleversion")
    }
    found["list: rule, all of them failing"] = f"{found['list: rule']}?p=3"
    found["list: execution, of a rule"] = f"{found['list: execution']}?rule_slug=rule-7"
    found["list: execution, discarded"] = f"{found['list: execution']}?state__exact=discarded"
    found["list: auditentry, search for a field"] = f"{found['list: auditentry']}?q=total"
    found["list: auditentry, search for an object"] = f"{found['list: auditentry']}?q=5000"
    found["overview"] = reverse("admin:rules_engine_overview")
    for model in (Rule, Execution, Event, AuditEntry):
        name = model._meta.model_name
        found[f"page: {name}"] = reverse(f"admin:rules_engine_{name}_change", args=[model.objects.first().pk])
    return found


def measure(client: Client, address: str) -> tuple[int, float, float, int]:
    client.get(address)
    with CaptureQueriesContext(connection) as taken:
        response = client.get(address)
    queries = [one["sql"] for one in taken if one["sql"].startswith(("SELECT", "INSERT", "UPDATE", "DELETE", "("))]
    if os.environ.get("QUERIES"):
        for one in taken:
            print(one["time"], one["sql"][:600])
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        client.get(address)
        times.append((time.perf_counter() - began) * 1000)
    return len(queries), statistics.median(times), max(times), len(response.content) // 1024


def main(rules: int = 1_000, executions: int = 100_000) -> None:
    setup_test_environment()
    before = setup_databases(verbosity=0, interactive=False)
    try:
        fill(rules=rules, executions=executions, hostile="<script>alert(1)</script> \u202eright\u202c \"'&")
        root = get_user_model().objects.create_superuser("root", "root@example.com", "x")
        client = Client()
        client.force_login(root)
        print(f"{connection.vendor}, {rules:,} rules, {executions:,} executions, {ROUNDS} rounds\n")
        print(f"{'page':45} {'queries':>8} {'median':>8} {'slowest':>8} {'size':>8}")
        only = os.environ.get("PAGES", "")
        for name, address in pages().items():
            if only in name:
                queries, median, slowest, size = measure(client, address)
                print(f"{name:45} {queries:8} {median:5.0f} ms {slowest:5.0f} ms {size:5} KB")
    finally:
        teardown_databases(before, verbosity=0)


if __name__ == "__main__":
    main(*(int(number) for number in sys.argv[1:]))
