"""Registers the clinic."""

from __future__ import annotations

from django.apps import AppConfig


class ClinicConfig(AppConfig):
    """Doctors, patients and their appointments."""

    name = "project.clinic"
    label = "clinic"
    verbose_name = "Clinic"
