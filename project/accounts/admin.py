"""The demo's users in the admin."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin

from project.accounts.models import User


@admin.register(User)
class UserAdmin(DjangoUserAdmin):
    """Django's own user admin, with our two fields."""

    list_display = ("username", "email", "first_name", "last_name", "is_doctor", "is_staff")
    list_filter = ("is_doctor", *DjangoUserAdmin.list_filter)
    fieldsets: ClassVar[Any] = (*(DjangoUserAdmin.fieldsets or ()), ("Demo", {"fields": ("is_doctor", "cv")}))
    add_fieldsets: Any = (*DjangoUserAdmin.add_fieldsets, ("Demo", {"fields": ("email", "is_doctor", "cv")}))
