"""What the scenarios of the pack ``clinic`` begin with: the pack itself, doctors, and appointments."""

from __future__ import annotations

from typing import Any

from django.core.management import call_command

from project.clinic.models import Appointment, Doctor, Patient
from rules_engine.models import Execution, HeldMatch
from rules_engine.testing import refresh
from tests.factories import make_appointment, make_doctor


def install_pack() -> None:
    """As an operator does it."""
    call_command("rulepack", "install", "clinic", verbosity=0)
    refresh()


def doctor_named(first: str = "Ada", last: str = "Byron") -> Doctor:
    """Store a doctor with an address at the clinic."""
    return make_doctor(first_name=first, last_name=last, email=f"{first}@clinic.example".lower(), slug=first.lower())


def appointment_of(doctor: Doctor | None = None, patient: str = "Tom Novak", **fields: Any) -> Appointment:
    """Store a patient of that name, and an appointment with the doctor, or with Ada Byron."""
    first, _, _ = patient.partition(" ")
    address = fields.pop("email", f"{first}@example.org".lower())
    fields["patient"] = Patient.objects.create(name=patient, email=address)
    return make_appointment(doctor=doctor or doctor_named(), **fields)


def nothing_waits() -> bool:
    """Whether all that was to be done is done."""
    waiting = HeldMatch.objects.filter(state=HeldMatch.State.WAITING)
    return not waiting.exists() and not Execution.objects.live().exists()
