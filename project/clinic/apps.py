"""Registers the clinic."""

from __future__ import annotations

from django.apps import AppConfig


class ClinicConfig(AppConfig):
    """Doctors, patients and their appointments."""

    name = "project.clinic"
    label = "clinic"
    verbose_name = "Clinic"

    def ready(self) -> None:
        """Let rules listen to the clinic's own signals."""
        from project.clinic import signals
        from rules_engine import register_signal

        register_signal(
            "clinic.doctor_went_on_vacation",
            signals.doctor_went_on_vacation,
            label="A doctor went on vacation",
            arguments={"instance": "The doctor"},
        )
        register_signal(
            "clinic.doctor_returned_from_vacation",
            signals.doctor_returned_from_vacation,
            label="A doctor returned from vacation",
            arguments={"instance": "The doctor"},
        )
        register_signal(
            "clinic.appointment_cancelled",
            signals.appointment_cancelled,
            label="An appointment was cancelled",
            arguments={"instance": "The appointment", "reason": "Why, as text"},
        )
