"""How many mails rules send in an hour: one row for each rule that mails, and one for all, in each hour."""

from __future__ import annotations

from datetime import UTC

from django.db import models
from django.db.models.functions import Now, TruncHour
from django.utils.translation import gettext_lazy as _

from rules_engine.databases.uncached import UncachedQuerySet

#: The hour that it is, by the database's clock; of UTC, so that no change to summer time makes one twice.
THIS_HOUR = TruncHour(Now(), tzinfo=UTC)
#: What stands for all rules together, in the place of a rule's slug.
ALL = ""


class MailHourQuerySet(UncachedQuerySet["MailHour"]):
    """Hours of mail, as ``MailHour.objects`` gives them."""

    def over(self) -> MailHourQuerySet:
        """Those in which there was more to mail than may be mailed, the latest first."""
        return self.filter(models.Q(put_off__gt=0) | models.Q(discarded__gt=0)).order_by("-hour", "rule_slug")


class MailHour(models.Model):
    """What one rule mailed in one hour, or all rules together, whose slug is empty."""

    rule_slug = models.CharField(_("rule"), max_length=100, blank=True, default="", db_default="")
    hour = models.DateTimeField(_("hour"))
    sent = models.PositiveIntegerField(_("mailed"), default=0, db_default=0)
    #: Mails of earlier hours that wait for this one.
    expected = models.PositiveIntegerField(_("expected"), default=0, db_default=0)
    #: Mails that this hour had no room for, and what became of them.
    put_off = models.PositiveIntegerField(_("put off"), default=0, db_default=0)
    discarded = models.PositiveIntegerField(_("discarded"), default=0, db_default=0)

    objects = MailHourQuerySet.as_manager()

    class Meta:
        verbose_name = _("hour of mail")
        verbose_name_plural = _("hours of mail")
        constraints = [models.UniqueConstraint(fields=("hour", "rule_slug"), name="rules_engine_mail_hour_of")]

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H:00} {self.rule_slug}"
