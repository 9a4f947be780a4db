"""What the fields of an endpoint may be, in words."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class PayloadForm(models.TextChoices):
    """The forms of ``formats.FORMATS``."""

    WHOLE = "whole", _("the whole event")
    THIN = "thin", _("which object it was, and no more")
    CLOUDEVENTS = "cloudevents", _("CloudEvents 1.0, structured")
    CLOUDEVENTS_BINARY = "cloudevents_binary", _("CloudEvents 1.0, binary")
    CHAT = "chat", _("a chat message (Slack, Mattermost, Google Chat)")
