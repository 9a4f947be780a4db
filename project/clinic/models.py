"""Doctors, patients and their appointments."""

from __future__ import annotations

from django.conf import settings
from django.db import models, transaction

from project.clinic import signals


class Department(models.Model):
    """A part of the clinic."""

    name = models.CharField(max_length=100, unique=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Doctor(models.Model):
    """A doctor, who need not have a user."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="doctor"
    )
    first_name = models.CharField(max_length=100)
    last_name = models.CharField(max_length=100)
    email = models.EmailField(blank=True)
    slug = models.SlugField(max_length=210, blank=True)
    biography = models.TextField(blank=True)
    qualification = models.CharField(max_length=200, blank=True)
    is_on_vacation = models.BooleanField("on vacation", default=False)
    departments = models.ManyToManyField(Department, blank=True, related_name="doctors")

    class Meta:
        ordering = ["last_name", "first_name"]

    def __str__(self) -> str:
        return f"{self.first_name} {self.last_name}"


class DoctorProfile(models.Model):
    """What a user who is a doctor shows to others."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="doctor_profile")
    headline = models.CharField(max_length=200, blank=True)
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"Profile of {self.user}"


class Patient(models.Model):
    """Someone who comes to the clinic."""

    name = models.CharField(max_length=200)
    email = models.EmailField(blank=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Appointment(models.Model):
    """A patient sees a doctor at a time."""

    class Status(models.TextChoices):
        """Where an appointment stands."""

        SCHEDULED = "scheduled", "Scheduled"
        COMPLETED = "completed", "Completed"
        CANCELLED = "cancelled", "Cancelled"

    doctor = models.ForeignKey(Doctor, on_delete=models.CASCADE, related_name="appointments")
    patient = models.ForeignKey(Patient, on_delete=models.CASCADE, related_name="appointments")
    date = models.DateField()
    time = models.TimeField()
    status = models.CharField(max_length=20, choices=Status.choices, default=Status.SCHEDULED)
    notes = models.TextField(blank=True)

    class Meta:
        ordering = ["date", "time"]

    def __str__(self) -> str:
        return f"{self.patient} with {self.doctor} on {self.date} at {self.time}"

    def cancel(self, reason: str) -> None:
        """Cancel it, and tell whoever listens why. One that is over or cancelled already stays as it is."""
        if self.status != self.Status.SCHEDULED:
            return
        with transaction.atomic():
            self.status = self.Status.CANCELLED
            self.save(update_fields=["status"])
            signals.appointment_cancelled.send(sender=type(self), instance=self, reason=reason)
