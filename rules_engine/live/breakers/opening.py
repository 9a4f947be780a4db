"""Opens the breaker of a rule, and closes it: the pause, the signal and the mail stand or fall together.

A rule that acts in the save itself is told of and never paused: a pause lets every save pass by a veto, and nothing
makes up for a field that was not set, while a rule that fails goes on with what it still can.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from django.conf import settings
from django.db import router
from django.db.models import QuerySet
from django.urls import NoReverseMatch, reverse
from django.utils import translation
from django.utils.translation import gettext, ngettext

from rules_engine import conf
from rules_engine.live.breakers.judging import Judgement
from rules_engine.live.breakers.mailing import mail
from rules_engine.models import Pause, Rule, RuleAction, RuleFailures
from rules_engine.troubles import telling
from rules_engine.troubles.signals import rule_keeps_failing

#: A rule that is told of and goes on failing is told of again after so long.
TOLD_AGAIN = timedelta(days=1)
#: Characters of a pause's reason.
LONGEST_REASON = 250
AT_ONCE = (RuleAction.Timing.BEFORE_SAVE, RuleAction.Timing.IN_TRANSACTION)


def open_breakers() -> list[str]:
    """Return the slugs of the rules that are paused by themselves now. One query."""
    return list(
        Pause.objects.current().filter(by_itself=True).order_by("rule_slug").values_list("rule_slug", flat=True)
    )


def is_open(row: RuleFailures, now: datetime) -> bool:
    """Say whether people know already: it is paused by itself still, or was told of lately and goes on."""
    if row.opened_at is None:
        return False
    if Pause.objects.using(row._state.db).filter(rule_slug=row.rule_slug, by_itself=True).exists():
        return True
    rule = Rule.objects.using(row._state.db).filter(slug=row.rule_slug).first()
    return rule is not None and not may_be_paused(rule) and now - row.opened_at < TOLD_AGAIN


def may_be_paused(rule: Rule) -> bool:
    """Say whether a pause costs nothing that cannot be made up for: no action of it acts in the save itself."""
    return not rule.actions.filter(enabled=True, timing__in=AT_ONCE).exists()


def open_breaker(row: RuleFailures, judgement: Judgement) -> bool:
    """Pause the rule and tell people, in the caller's transaction. Returns whether it is one to be told of: a rule that
    is off, or paused anyway, is not."""
    using = router.db_for_write(RuleFailures)
    rule = Rule.objects.using(using).filter(slug=row.rule_slug, enabled=True).first()
    if rule is None or any(one.stops(rule.slug, rule.model) for one in Pause.objects.using(using).current()):
        return False
    is_paused = may_be_paused(rule)
    with translation.override(settings.LANGUAGE_CODE):
        reason = reason_of(judgement)
        if is_paused:
            pause = Pause(rule_slug=rule.slug, mode=Pause.Mode.HOLD, reason=reason[:LONGEST_REASON], by_itself=True)
            pause.save(using=using)
        facts = {
            "rule": rule.slug,
            "name": str(rule),
            "model": rule.model,
            "part": row.part,
            "failed": judgement.failed,
            "tried": judgement.tried,
            "error": row.last_error,
            "is_paused": is_paused,
            "url": address_of(rule),
        }
        telling.tell(rule_keeps_failing, using, **facts)
        mail(rule, facts, reason)
    return True


def reason_of(judgement: Judgement) -> str:
    """Say why, as a sentence that everybody may read who sees the pause: it quotes no error."""
    numbers = {"failed": judgement.failed, "tried": judgement.tried}
    if judgement.failed == judgement.tried:
        text = ngettext("It failed %(failed)s time in a row.", "It failed %(failed)s times in a row.", judgement.failed)
    else:
        text = gettext("It failed %(failed)s of %(tried)s times.")
    return text % numbers


def address_of(rule: Rule) -> str:
    """Return the address of the rule's page in the admin; empty without ``SITE_URL`` or admin."""
    try:
        path = reverse("admin:rules_engine_rule_change", args=[rule.pk])
    except NoReverseMatch:
        return ""
    return conf.site_url() + path if conf.site_url() else ""


def close_of(edited: Rule | RuleAction, using: str) -> None:
    """Let a rule go on whose row, or one of whose actions, was saved: whoever did has seen to it."""
    key = edited.pk if isinstance(edited, Rule) else edited.rule_id
    its = Rule.objects.using(using).filter(pk=key).values("slug")
    _close(Pause.objects.using(using).filter(rule_slug__in=its))


def close_breakers(slugs: Collection[str], using: str) -> None:
    """Let rules go on that were edited: a new form is another rule. One query, where nothing is paused by itself."""
    if slugs:
        _close(Pause.objects.using(using).filter(rule_slug__in=slugs))


def _close(pauses: QuerySet[Pause]) -> None:
    for pause in pauses.filter(by_itself=True):
        pause.delete()
