"""The clinic in the admin."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from project.clinic.models import Appointment, Department, Doctor, DoctorProfile, Patient
from rules_engine.admin import RulesOfObjectMixin


class AppointmentInline(admin.TabularInline):
    """A doctor's or a patient's appointments."""

    model = Appointment
    extra = 0
    autocomplete_fields = ("doctor", "patient")


@admin.register(Department)
class DepartmentAdmin(admin.ModelAdmin):
    """Departments."""

    search_fields = ("name",)


@admin.register(Doctor)
class DoctorAdmin(RulesOfObjectMixin, admin.ModelAdmin):
    """Doctors with their appointments."""

    list_display = ("__str__", "email", "qualification", "is_on_vacation")
    list_filter = ("is_on_vacation", "departments")
    search_fields = ("first_name", "last_name", "email")
    filter_horizontal = ("departments",)
    autocomplete_fields = ("user",)
    inlines = (AppointmentInline,)


@admin.register(DoctorProfile)
class DoctorProfileAdmin(admin.ModelAdmin):
    """Profiles."""

    list_display = ("__str__", "headline", "updated_at")
    list_select_related = ("user",)
    autocomplete_fields = ("user",)
    readonly_fields = ("updated_at",)


@admin.register(Patient)
class PatientAdmin(admin.ModelAdmin):
    """Patients with their appointments."""

    list_display = ("name", "email")
    search_fields = ("name", "email")
    inlines = (AppointmentInline,)


@admin.register(Appointment)
class AppointmentAdmin(admin.ModelAdmin):
    """Appointments."""

    list_display = ("date", "time", "patient", "doctor", "status")
    list_filter = ("status", "doctor")
    list_select_related = ("patient", "doctor")
    search_fields = ("patient__name", "doctor__last_name", "notes")
    date_hierarchy = "date"
    autocomplete_fields = ("doctor", "patient")
    actions = ("cancel",)

    @admin.action(description="Cancel selected appointments", permissions=["change"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Appointment]) -> None:
        """As the clinic's code does it: the signal tells why."""
        for appointment in queryset:
            appointment.cancel("The clinic had to cancel it.")
