"""What the ordeals of this project do: products are made; a webhook, the ledger and the audit trail tell of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

from project.shop.models import Product
from rules_engine.models import AuditEntry
from rules_engine.testing import create_rule
from rules_engine.testing.faults.scenario import Scenario
from webhooks.models import Endpoint


class Products(Scenario):
    """Effects of three kinds for each: two outside, and one in the database."""

    kinds = ("ledger", "webhook")

    def prepare(self, ledger: str) -> None:
        Endpoint.objects.create(slug="crm", name="CRM", url=f"{ledger}/webhook")
        create_rule(
            model=Product,
            operations=["create"],
            actions=[
                ("book_in_ledger", {"url": f"{ledger}/ledger", "change": "{{ instance.slug }}"}),
                ("webhook", {"endpoint": "crm", "payload": '{"change": "{{ instance.slug }}"}'}),
                ("write_audit_entry", {"fields": ["slug"]}),
            ],
        )

    def save(self, change: str) -> None:
        Product.objects.create(name=change, slug=change, price="1")

    def saved(self) -> Collection[str]:
        return list(Product.objects.values_list("slug", flat=True))

    def in_database(self) -> Mapping[str, Counter[str]]:
        return {"audit": Counter(AuditEntry.objects.values_list("fields__slug", flat=True))}
