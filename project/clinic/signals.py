"""Signals that the clinic's own code sends. ``sender`` is the class of the object they are about."""

from __future__ import annotations

from django.dispatch import Signal

#: ``instance``: the Doctor who has gone on vacation.
doctor_went_on_vacation = Signal()

#: ``instance``: the Doctor who is back.
doctor_returned_from_vacation = Signal()

#: ``instance``: the Appointment; ``reason``: why it was cancelled, as text.
appointment_cancelled = Signal()
