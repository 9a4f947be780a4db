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
        "held": gettext("Held back before it"),
        "of_event": _entries(
            what_happened=gettext("What happened, in words"),
            admin_url=gettext("Link to it in the admin"),
            actor__username=gettext("Who made the change"),
            event__occurred_at=gettext("When it happened"),
            event__operation=gettext("Whether it was created, updated or deleted"),
        ),
        "of_held": _entries(
            held__together=gettext("How many others it was taken together with"),
            held__throttled=gettext("How many were left out since the last"),
        ),
    }


def _entries(**labels: str) -> list[dict[str, str]]:
    """Return each as the script has the fields of a model: its path, and what it is called."""
    return [{"path": name.replace("__", "."), "label": label} for name, label in labels.items()]
