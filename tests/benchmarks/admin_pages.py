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
from typing import Any
from urllib.parse import urlencode

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
os.environ.setdefault("DEMO_VAR", tempfile.mkdtemp(prefix="signal-rules-benchmarks-"))

import django

django.setup()

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.db import connection, models
from django.test import Client
from django.test.utils import CaptureQueriesContext, setup_databases, setup_test_environment, teardown_databases
from django.urls import reverse

from project.shop.models import Order
from rules_engine.models import Rule
from tests.many_rows import fill
from webhooks.models import Endpoint

ROUNDS = 7
OURS = ("rules_engine", "webhooks")
#: What is asked of lists: name of the list, parameters.
ASKED = (
    ("rule", {"p": "3"}),
    ("rule", {"q": "rule-99"}),
    ("rule", {"kind": "log_message"}),
    ("execution", {"rule_slug": "rule-7"}),
    ("execution", {"state__exact": "discarded"}),
    ("execution", {"p": "1900"}),
    ("execution", {"q": "rule-99"}),
    ("execution", {"q": "5000"}),
    ("execution", {"q": "nothing like it"}),
    ("activity", {"queue__exact": "webhooks", "lane__in": "endpoint-1,endpoint-1:replay,endpoint-1:test"}),
    ("activity", {"tab": "failed"}),
    ("activity", {"tab": "waiting"}),
    ("activity", {"tab": "held"}),
    ("activity", {"p": "1900"}),
    ("activity", {"q": "rule-99"}),
    ("event", {"q": "5000"}),
    ("event", {"q": "shop.order"}),
    ("event", {"operation__exact": "update"}),
    ("auditentry", {"q": "total"}),
    ("auditentry", {"q": "5000"}),
    ("auditentry", {"q": "somebody"}),
    ("auditentry", {"q": "script"}),
    ("auditentry", {"q": "nothing like it"}),
    ("auditentry", {"q": "rule-99"}),
    ("heldmatch", {"state__exact": "waiting"}),
    ("heldmatch", {"q": "rule-99"}),
    ("heldmatch", {"q": "5000"}),
    ("pause", {"q": "rule-99"}),
    ("ruleversion", {"q": "rule-99"}),
)


def pages() -> dict[str, str]:
    """What is measured, by what the table calls it."""
    registered = [model for model in admin.site._registry if model._meta.app_label in OURS]
    found = {f"list: {model._meta.model_name}": address(model, "changelist") for model in registered}
    for name, asked in ASKED:
        words = ", ".join(f"{key}={value}" for key, value in asked.items())
        found[f"list: {name}: {words}"] = f"{found[f'list: {name}']}?{urlencode(asked)}"
    # A row of activity is on the page of its own kind.
    for model in (*(model for model in registered if not model._meta.proxy), Order):
        if (row := model._default_manager.first()) is not None:
            found[f"page: {model._meta.model_name}"] = address(model, "change", row.pk)
    rule = Rule.objects.first()
    for name in ("test", "backtest", "versions", "python"):
        found[f"page: rule, {name}"] = address(Rule, name, rule.pk)
    found["page: rule, new"] = address(Rule, "add")
    found["page: why"] = f"{address(Rule, 'why')}?model=shop.order&pk=5000"
    found["page: endpoint, replay"] = address(Endpoint, "replay", Endpoint.objects.first().pk)
    found["overview"] = reverse("admin:rules_engine_overview")
    return found


def address(model: type[models.Model], page: str, *args: Any) -> str:
    return reverse(f"admin:{model._meta.label_lower.replace('.', '_')}_{page}", args=args)


def measure(client: Client, address: str) -> tuple[int, list[float], int]:
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
    return len(queries), [min(times), statistics.median(times), max(times)], len(response.content) // 1024


def main(rules: int = 1_000, executions: int = 100_000) -> None:
    setup_test_environment()
    before = setup_databases(verbosity=0, interactive=False)
    try:
        fill(rules=rules, executions=executions, hostile="<script>alert(1)</script> \u202eright\u202c \"'&")
        root = get_user_model().objects.create_superuser("root", "root@example.com", "x")
        client = Client()
        client.force_login(root)
        print(f"{connection.vendor}, {rules:,} rules, {executions:,} executions, {ROUNDS} rounds\n")
        print(f"{'page':60} {'queries':>8} {'fastest':>8} {'median':>8} {'slowest':>8} {'size':>8}")
        only = os.environ.get("PAGES", "")
        for name, address in pages().items():
            if only in name:
                queries, times, size = measure(client, address)
                taken = " ".join(f"{one:5.0f} ms" for one in times)
                print(f"{name:60} {queries:8} {taken} {size:5} KB")
    finally:
        teardown_databases(before, verbosity=0)


if __name__ == "__main__":
    main(*(int(number) for number in sys.argv[1:]))
