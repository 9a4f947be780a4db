"""The demo's users."""

from __future__ import annotations

from django.contrib.auth.models import AbstractUser
from django.db import models


class User(AbstractUser):
    """A user who may be a doctor, and may have handed in a CV."""

    is_doctor = models.BooleanField("doctor", default=False)
    cv = models.FileField("CV", upload_to="cv/", blank=True)
