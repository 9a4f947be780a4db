"""What the scenarios of the pack ``clinic`` begin with: the pack itself, doctors, and appointments."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.core.management import call_command

from project.clinic.models import Appointment, Doctor, Patient
from rules_engine.models import Execution, HeldMatch
from rules_engine.testing import refresh


def install_pack() -> None:
    """As an operator does it."""
    call_command("rulepack", "install", "clinic", verbosity=0)
    refresh()


def make_doctor(first: str = "Ada", last: str = "Byron") -> Doctor:
    """With an address at the clinic."""
    return Doctor.objects.create(
        first_name=first, last_name=last, email=f"{first}@clinic.example".lower(), slug=first.lower()
    )


def make_appointment(doctor: Doctor | None = None, patient: str = "Tom Novak", **fields: Any) -> Appointment:
    """On a Tuesday, 6 May 2031, at half past ten."""
    first, _, _ = patient.partition(" ")
    who = Patient.objects.create(name=patient, email=fields.pop("email", f"{first}@example.org".lower()))
    when = {"date": dt.date(2031, 5, 6), "time": dt.time(10, 30)}
    return Appointment.objects.create(doctor=doctor or make_doctor(), patient=who, **{**when, **fields})


def nothing_waits() -> bool:
    """Whether all that was to be done is done."""
    waiting = HeldMatch.objects.filter(state=HeldMatch.State.WAITING)
    return not waiting.exists() and not Execution.objects.live().exists()
