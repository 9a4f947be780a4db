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
    SLACK = "slack", _("a message in Slack")
    TEAMS = "teams", _("a message in Microsoft Teams")
    DISCORD = "discord", _("a message in Discord")
    MATTERMOST = "mattermost", _("a message in Mattermost")
    GOOGLE_CHAT = "google_chat", _("a message in Google Chat")
    CHAT = "chat", _('a message in another chat, as {"text": …}')


#: The forms that are messages to people, of which a rule says the text.
CHATS = frozenset({"slack", "teams", "discord", "mattermost", "google_chat", "chat"})
