"""Ready templates for common rules: an administrator fills in a model, fields and texts, and gets a rule.

In the admin they are called templates; here ready templates, to keep them apart from the templates of texts.
"""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from rules_engine.packs.ready import changing, keeping, telling, timed, troubles
from rules_engine.packs.ready.form import ReadyTemplate
from rules_engine.rules import registry

MAILS = _("Tell somebody by mail")
OTHERS = _("Tell a chat or another system")
RECORDS = _("Keep a record")
FIELDS = _("Keep data right")
REFUSALS = _("Refuse something")
TIDY = _("Tidy up")

READY_TEMPLATES = (
    ReadyTemplate(
        "status-mail",
        _("Mail when a status is reached"),
        _("Sends a mail when an object comes into a state, such as an order that becomes paid."),
        telling.StatusMailForm,
        ("send_email",),
        MAILS,
        _("paid shipped cancelled notification email"),
    ),
    ReadyTemplate(
        "notify",
        _("Notify on creation"),
        _("Sends a mail when an object is created."),
        telling.NotifyForm,
        ("send_email",),
        MAILS,
        _("new added email"),
    ),
    ReadyTemplate(
        "deleted-mail",
        _("Mail when something is deleted"),
        _("Sends a mail with what was deleted, and by whom."),
        telling.GoneForm,
        ("send_email",),
        MAILS,
        _("removed gone email"),
    ),
    ReadyTemplate(
        "welcome",
        _("Welcome somebody new"),
        _("Sends one mail to the address of each new object that has one."),
        telling.WelcomeForm,
        ("send_email",),
        MAILS,
        _("greeting customer user registration email"),
    ),
    ReadyTemplate(
        "owner",
        _("Tell whom it belongs to"),
        _("Mails the address of an object, or of whom it belongs to, when something of it changes."),
        telling.OwnerForm,
        ("send_email",),
        MAILS,
        _("customer owner update email"),
    ),
    ReadyTemplate(
        "remind",
        _("Remind some days later"),
        _("Sends a mail some days after an object came into a state."),
        telling.RemindForm,
        ("send_email",),
        MAILS,
        _("follow-up overdue delay email"),
    ),
    ReadyTemplate(
        "date",
        _("Remind before a date"),
        _("Sends a mail in the morning, some days before a date, such as the day before an appointment."),
        timed.DateForm,
        ("send_email",),
        MAILS,
        _("reminder deadline due appointment birthday email"),
    ),
    ReadyTemplate(
        "stays",
        _("Remind when it stays so"),
        _("Sends a mail once something has been in a state for some days, such as an order that is unpaid for three."),
        timed.StaysForm,
        ("send_email",),
        MAILS,
        _("reminder overdue unpaid open email"),
    ),
    ReadyTemplate(
        "digest",
        _("A list each weekday"),
        _("Sends one mail each weekday with a list of what is in a state; none where there is nothing."),
        timed.DigestForm,
        ("send_email",),
        MAILS,
        _("digest daily summary report email"),
    ),
    ReadyTemplate(
        "low",
        _("Warn when a number gets low"),
        _("Sends a mail as a number falls below a limit, such as what is left in stock."),
        telling.LowForm,
        ("send_email",),
        MAILS,
        _("stock limit threshold email"),
    ),
    ReadyTemplate(
        "logins",
        _("Tell of failed logins"),
        _("Mails the administrators when a login fails, and not at each of many."),
        telling.LoginsForm,
        ("send_email",),
        MAILS,
        _("security password attack email"),
    ),
    ReadyTemplate(
        "trouble",
        _("Mail when something breaks"),
        _("Sends a mail when an action is given up, an endpoint is dead, no worker is there or a rule fails."),
        troubles.TroubleForm,
        ("send_email",),
        MAILS,
        _("failure error outage monitoring alert endpoint worker email"),
    ),
    ReadyTemplate(
        "chat-status",
        _("Tell a chat when a status is reached"),
        _("Posts to Slack, Teams or another chat when an object comes into a state."),
        telling.ChatStatusForm,
        ("webhook",),
        OTHERS,
        "Discord Mattermost Google Chat",
    ),
    ReadyTemplate(
        "chat",
        _("Tell a chat what happens"),
        _("Posts to Slack, Teams or another chat when an object is created, changed or deleted."),
        telling.ChatForm,
        ("webhook",),
        OTHERS,
        "Discord Mattermost Google Chat",
    ),
    ReadyTemplate(
        "webhook",
        _("Call a webhook"),
        _("Tells another system when an object is created, changed or deleted."),
        telling.WebhookForm,
        ("webhook",),
        OTHERS,
        "HTTP API Zapier n8n",
    ),
    ReadyTemplate(
        "audit",
        _("Audit a model"),
        _("Keeps who created, changed or deleted an object, and what changed."),
        keeping.AuditForm,
        ("write_audit_entry",),
        RECORDS,
        _("history trail compliance"),
    ),
    ReadyTemplate(
        "status",
        _("Track a status"),
        _("Keeps when a field changed, from what to what."),
        keeping.StatusForm,
        ("write_audit_entry", "update_objects"),
        RECORDS,
        _("history"),
    ),
    ReadyTemplate(
        "log",
        _("Write to the log"),
        _("Writes a line to the site's log when an object is created, changed or deleted."),
        keeping.LogForm,
        ("log_message",),
        RECORDS,
    ),
    ReadyTemplate(
        "stamp",
        _("Note the time of a status"),
        _("Sets a date of the object as it comes into a state, such as when it was paid."),
        changing.StampForm,
        ("set_fields",),
        FIELDS,
        _("timestamp date"),
    ),
    ReadyTemplate(
        "copy",
        _("Copy a field"),
        _("Fills a field from another one, or from what the object belongs to, before each save."),
        changing.CopyForm,
        ("set_fields",),
        FIELDS,
        _("default fill in"),
    ),
    ReadyTemplate(
        "total",
        _("Keep a total"),
        _("Keeps how many rows belong to an object, or their sum, in a number of it."),
        changing.TotalForm,
        ("update_objects",),
        FIELDS,
        _("count sum number"),
    ),
    ReadyTemplate(
        "dependents",
        _("Have others follow a status"),
        _("Sets a state of all that belongs to an object, such as cancelling its appointments."),
        changing.DependentsForm,
        ("update_objects",),
        FIELDS,
        _("cascade cancel related"),
    ),
    ReadyTemplate(
        "refuse-delete",
        _("Refuse to delete"),
        _("Keeps what is in a state from being deleted, and says why."),
        changing.RefuseDeleteForm,
        ("reject",),
        REFUSALS,
        _("veto protect forbid"),
    ),
    ReadyTemplate(
        "freeze",
        _("Refuse changes once it is final"),
        _("Keeps what is in a state from being changed, and says why."),
        changing.FreezeForm,
        ("reject",),
        REFUSALS,
        _("veto lock protect forbid"),
    ),
    ReadyTemplate(
        "files",
        _("Clean up files"),
        _("Deletes files that were replaced, or whose object was deleted, once nothing uses them."),
        keeping.FilesForm,
        ("delete_files",),
        TIDY,
        _("images uploads storage"),
    ),
    ReadyTemplate(
        "cache",
        _("Invalidate the cache"),
        _("Deletes cache keys when an object is saved or deleted."),
        keeping.CacheForm,
        ("delete_cache_keys",),
        TIDY,
        _("stale clear"),
    ),
)


def offered(search: str = "") -> list[ReadyTemplate]:
    """Return the ready templates whose kinds of action are installed here, of those that a search finds."""
    installed = [one for one in READY_TEMPLATES if all(registry.find(kind) is not None for kind in one.kinds)]
    return [template for template in installed if template.matches(search)]


def find(key: str) -> ReadyTemplate | None:
    """Return the ready template of that key among those offered, or None."""
    return next((template for template in offered() if template.key == key), None)
