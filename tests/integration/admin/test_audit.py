"""The audit trail and the versions of rules: read, searched, never edited."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse

from project.clinic.models import Doctor
from rules_engine.models import AuditEntry, RuleVersion
from rules_engine.testing import create_rule, run_due
from rules_engine.work.tasks import seal

pytestmark = pytest.mark.django_db(transaction=True)

HOSTILE = "<script>alert(1)</script>"
LIST = "admin:rules_engine_auditentry_changelist"


@pytest.fixture
def entry() -> AuditEntry:
    create_rule(
        model=Doctor,
        slug="trail",
        operations=["update"],
        actions=[("write_audit_entry", {"name": "Dr {{ instance.last_name }}"})],
    )
    doctor = Doctor.objects.create(first_name="Ada", last_name="Byron", email="ada@example.com")
    doctor.biography = HOSTILE
    doctor.save()
    run_due()
    return AuditEntry.objects.get()


def page_of(entry: AuditEntry) -> str:
    return reverse("admin:rules_engine_auditentry_change", args=[entry.pk])


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("Byron", True),
        ("clinic.doctor", True),
        ("trail", True),
        ("biography", True),
        ("biograph", False),
        ("yron doctor", True),
        ('"Dr Byron" biography', True),
        ('"Dr  Byron"', False),
        ("x y", False),
    ],
)
def test_entries_are_found_by_object_rule_and_field(
    admin_client: Client, entry: AuditEntry, search: str, found: bool
) -> None:
    page = admin_client.get(reverse(LIST), {"q": search}).content.decode()
    assert (page_of(entry) in page) is found


def test_entries_are_found_by_whole_keys_and_by_the_words_of_the_site(admin_client: Client, entry: AuditEntry) -> None:
    fields = {"model": "shop.order", "operation": "update", "at": entry.at}
    AuditEntry.objects.create(pk=uuid4(), object_pk="70017", object_text="Invoice 90070017", actor_id="70005", **fields)
    AuditEntry.objects.create(
        pk=uuid4(), object_pk="90070017", request_id="r-70017", changes={"order_number": {}}, **fields
    )

    def found(search: str) -> int:
        return int(admin_client.get(reverse(LIST), {"q": search}).context_data["cl"].result_count)  # type: ignore[attr-defined]

    assert [found("70017"), found("70005"), found("r-70017"), found("r-700")] == [1, 1, 1, 0]
    # The key of one, and the number in the name of the other.
    assert found("90070017") == 2
    assert [found("order_number"), found('"Order number"'), found("orders"), found("SHOP.ORDER")] == [1, 1, 2, 2]


def test_an_entry_shows_what_changed(admin_client: Client, entry: AuditEntry) -> None:
    page = admin_client.get(page_of(entry)).content.decode()
    assert "Dr Byron" in page
    assert "biography" in page
    assert "&lt;script&gt;" in page
    assert HOSTILE not in page


def test_nobody_adds_changes_or_deletes_entries(admin_client: Client, entry: AuditEntry) -> None:
    assert admin_client.get(reverse("admin:rules_engine_auditentry_add")).status_code == 403
    assert admin_client.post(page_of(entry), {"note": "x"}).status_code == 403
    delete = reverse("admin:rules_engine_auditentry_delete", args=[entry.pk])
    assert admin_client.post(delete, {"post": "yes"}).status_code == 403
    admin_client.post(reverse(LIST), {"action": "delete_selected", "_selected_action": [str(entry.pk)]})
    assert AuditEntry.objects.count() == 1


def test_the_trail_is_for_those_with_its_permission(staff: Callable[..., Client], entry: AuditEntry) -> None:
    client = staff("rules_engine.view_rule")
    assert client.get(page_of(entry)).status_code == 403


def test_versions_are_read_only(admin_client: Client, entry: AuditEntry) -> None:
    version = RuleVersion.objects.get()
    url = reverse("admin:rules_engine_ruleversion_change", args=[version.pk])
    assert "write_audit_entry" in admin_client.get(url).content.decode()
    assert admin_client.post(url, {"number": "7"}).status_code == 403
    found = admin_client.get(reverse("admin:rules_engine_ruleversion_changelist"), {"q": "trail"})
    assert url in found.content.decode()


def test_an_entry_says_by_which_seal_it_is_sealed(admin_client: Client, entry: AuditEntry) -> None:
    assert "Not yet: a worker seals it" in admin_client.get(page_of(entry)).content.decode()
    seal()
    assert "By seal 1, " in admin_client.get(page_of(entry)).content.decode()
