"""Signals: whatever they send, the sender hears nothing of rules, and what is recorded can be read again."""

from __future__ import annotations

import random

import pytest
from django.db import transaction
from django.dispatch import Signal

from rules_engine import register_signal
from rules_engine.live import faults
from rules_engine.models import Event, Execution, RuleError
from rules_engine.testing import create_rule
from tests.fuzz import making, odd_objects
from tests.fuzz.running import fuzz

pytestmark = pytest.mark.django_db(transaction=True)

COUNT = 150
odd_signal = Signal()
register_signal("fuzz.odd", odd_signal)
NAMES = (
    "reason",
    "raw",
    "using",
    "created",
    "instance",
    "update_fields",
    "password",
    "action",
    "model",
    "pk_set",
    "x" * 300,
)
READING = {"or": [{"==": [{"var": "signal.reason.a"}, 1]}, {"in": ["x", {"var": "signal.raw"}]}, {"var": "signal.x"}]}


def prepare() -> None:
    """Make rules that read what is sent, and one that only hears."""
    log = ("log_message", {"message": "{{ signal.reason }} {{ signal }} {{ signal.instance.text }}"})
    create_rule(signals=["fuzz.odd"], slug="hears", actions=[log])
    create_rule(signals=["fuzz.odd"], slug="reads", condition=READING, actions=[log])
    create_rule(
        signals=["fuzz.odd"],
        slug="holds",
        throttle_count=1,
        throttle_seconds=60,
        throttle_by="{{ signal.reason }}",
        actions=[log],
    )


def surface(chance: random.Random) -> None:
    sent = {chance.choice(NAMES): odd_objects.odd(chance) for _ in range(chance.randint(0, 4))}
    # Django itself asks for one that can be hashed.
    sender = chance.choice((None, object(), type, random, making.leaf(chance)))
    before = faults.of_process.total
    with transaction.atomic():
        odd_signal.send(sender=sender, **sent)
        for event in Event.objects.all():
            assert str(event)
            assert len(str(event.captured().context)) < 2_000_000
        # Whoever hears it acts, or says why not.
        assert (
            Execution.objects.filter(rule_slug="hears").exists() or RuleError.objects.filter(rule_slug="hears").exists()
        )
        transaction.set_rollback(True)
    assert faults.of_process.total == before


def test_any_argument_of_a_signal_leaves_its_sender_alone() -> None:
    prepare()
    fuzz(surface, COUNT)
