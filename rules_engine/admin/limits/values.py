"""What the list of values says: the script ``value-picker.js`` puts what is chosen there into a text."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext


def value_words() -> dict[str, Any]:
    """The words of the button at a text, and of the list behind it; with the values that every event has."""
    return {
        "insert": gettext("Insert a value"),
        "insert_into": gettext("Insert a value into %(field)s"),
        "pick": gettext("Insert a value"),
        "search": gettext("Search by name"),
        "values": gettext("Values"),
        "no_value": gettext("No value has such a name."),
        "happened": gettext("What happened"),
        "earlier": gettext("Before the change"),
        "before": gettext("%(field)s before the change"),
        "each": gettext("Each of %(rows)s"),
        "sent_along": gettext("What the signal sends"),
        "of_event": [
            {"path": path, "label": label}
            for path, label in (
                ("what_happened", gettext("What happened, in words")),
                ("admin_url", gettext("Link to it in the admin")),
                ("actor.username", gettext("Who made the change")),
                ("event.occurred_at", gettext("When it happened")),
                ("event.operation", gettext("Whether it was created, updated or deleted")),
            )
        ],
    }
