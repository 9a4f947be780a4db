"""Workers whose rules are older than what they are handed: real ones, that do not look for new rules meanwhile."""

from __future__ import annotations

import pytest

from project.clinic.models import Doctor
from project.shop.models import Category
from rules_engine.testing import create_rule
from tests.factories import make_doctor
from tests.faults.workers import Crew

pytestmark = pytest.mark.django_db(transaction=True)

SIGNAL = "clinic.doctor_went_on_vacation"


def category(name: str) -> tuple[str, dict[str, object]]:
    return "create_object", {"model": "shop.category", "values": [{"field": "name", "value": name}]}


def has_category(name: str) -> bool:
    return Category.objects.filter(name=name).exists()


def test_a_worker_with_older_rules_loses_no_chain_through_a_signal(crew: Crew) -> None:
    crew.start(solo=True, REFRESH_SECONDS=3600)
    create_rule(Doctor, slug="seen", actions=[category("seen")])
    make_doctor()
    # By now it has read the rules, and will not look for others by itself.
    crew.eventually(lambda: has_category("seen"))
    create_rule(Doctor, slug="sends", actions=[("send_signal", {"signal": SIGNAL, "with_object": True})])
    create_rule(Doctor, slug="hears", signals=[SIGNAL], actions=[category("heard")])
    make_doctor()
    crew.eventually(lambda: has_category("heard"))
