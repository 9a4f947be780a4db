"""django-zeal, which raises at the second query of a kind: neither its errors nor the engine's reading end a save."""

from __future__ import annotations

import pytest
from zeal import zeal_context

from rules_engine.models import RuleError
from rules_engine.testing import create_rule, run_due
from tests.integration.noting import note
from tests.interop.models import Contact, Visit

pytestmark = pytest.mark.django_db(transaction=True)


def test_many_saves_in_one_request_are_all_stored_and_heard(noted: list[str]) -> None:
    create_rule(model=Visit, slug="plain", actions=[note("{{ instance.on }}")])
    create_rule(model=Visit, slug="reads", actions=[note("{{ instance.contact.name }}")])
    contact = Contact.objects.create(name="Ada")
    for day in ("2031-05-06", "2031-05-07", "2031-05-08"):
        Visit.objects.create(contact=contact, on=day)
    run_due()
    noted.clear()
    with zeal_context():
        for visit in list(Visit.objects.order_by("pk")):
            visit.save()
    run_due()
    days = [text for text in noted if text.startswith("2031")]
    assert days == ["2031-05-06", "2031-05-07", "2031-05-08"]
    assert noted.count("Ada") == 3 or RuleError.objects.filter(rule_slug="reads").exists()
