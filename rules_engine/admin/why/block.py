"""The block that tells of changes and of what came of each rule: the same on every page that has one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext

from rules_engine.admin.conditions.field_titles import Titles
from rules_engine.admin.parts.labels import OPERATION_WORDS, SIGNALS, model_title, signal_words
from rules_engine.admin.parts.objects import names_of_objects
from rules_engine.admin.parts.rendering import page_url, short_time
from rules_engine.admin.parts.rule_page import TEST, unseen
from rules_engine.admin.why.gates import shown_gate
from rules_engine.admin.why.names import Named, counted_model
from rules_engine.admin.why.speaker import Speaker, value_words
from rules_engine.admin.why.unheard import change_words
from rules_engine.admin.why.words import OUTCOMES, links_of, sentence_of
from rules_engine.context.visible import visible
from rules_engine.models import Event, Rule
from rules_engine.rules.permissions import may_view
from rules_engine.test.changes import AFTER, Change, changes_of
from rules_engine.test.records import Records
from rules_engine.test.verdicts import Verdict, first_of, verdict_of
from rules_engine.test.why import tell

#: Rules told of at one change that stopped at a gate; the others are folded, and those that were not tried.
MOST_STOPPED = 8
#: Fields told of one change; the rest is a number.
MOST_FIELDS = 6
RIGHTS = ("heldmatch", "pause", "event", "execution", "rule")


@dataclass(frozen=True, slots=True)
class Told:
    """A verdict for the template."""

    name: str
    url: str
    outcome: str
    label: str
    sentence: str
    links: Sequence[Any]
    #: The gate in full, where there is more to see of it than the sentence says.
    stop: Any = None
    stored: Mapping[str, str] | None = None
    test_url: str = ""
    is_worked_out: bool = False


@dataclass(frozen=True, slots=True)
class ChangeTold:
    """A change for the template: when, what, by whom, and below it a verdict a rule."""

    event: Event
    url: str
    time: str
    happened: str
    fields: Sequence[str]
    more_fields: int
    by: str
    by_url: str
    verdicts: Sequence[Told]
    folded: Sequence[Told]


class Block:
    """What is the same for all changes of a page: who asks, the rules, and what is on record around the events.

    ``is_seen``: who asks may see data of the objects that the events are about. ``only``: of no other rules is told.
    ``most_stopped``: of rules that did not match, so many are told at each change, and the others folded.
    """

    def __init__(
        self,
        request: HttpRequest,
        events: Sequence[Event],
        rules: Iterable[Rule],
        *,
        only: Collection[str] | None = None,
        is_seen: bool = True,
        most_stopped: int = MOST_STOPPED,
    ) -> None:
        self.request, self.events, self.only, self.is_seen = request, events, only, is_seen
        self.most_stopped = most_stopped
        self.rules = {rule.slug: rule for rule in rules}
        user: Any = request.user
        self.rights = frozenset(name for name in RIGHTS if user.has_perm(f"rules_engine.view_{name}"))
        self.may_test = user.has_perm(TEST)
        self.seen_rules: dict[str, bool] = {}

    @cached_property
    def records(self) -> Records:
        """What came of the events."""
        return Records.around(self.events, self.only)

    @cached_property
    def names(self) -> Mapping[Named, str]:
        """What the objects are called that used limits up, or for which they are counted."""
        limits = self.records.limits
        if limits is None:
            return {}
        uses = [*(use for used in limits.used.values() for use in used), *limits.once.values()]
        named = {(use.model, use.object_pk) for use in uses}
        for (_event, slug), matches in self.records.held.items():
            rule = self.rules.get(slug)
            label = counted_model(rule) if rule is not None else ""
            if label:
                named |= {(label, match.throttle_key) for match in matches}
        return names_of_objects(self.request, named)

    def changes(self) -> list[ChangeTold]:
        """The changes, the newest first."""
        told = tell(self.events, list(self.rules.values()), self.only)
        refused = {
            key for (key, _slug), steps in self.records.steps.items() if any(s.first.kind == "reject" for s in steps)
        }
        causing = {each.caused_by for each in told if each.caused_by}
        names = dict(Rule.objects.filter(slug__in=causing).values_list("slug", "name")) if causing else {}
        return [self._change(change, names) for change in changes_of(told, refused)]

    def _change(self, change: Change, rule_names: Mapping[str, str]) -> ChangeTold:
        event = change.told.event
        titles = Titles.of(event.model)
        verdicts = first_of(
            verdict_of(said, self.records.facts(told.event, said.slug, said.rule))
            for told in (change.told, *change.before)
            for said in told.said
        )
        shown, folded = _parted(verdicts, self.most_stopped)
        fields = self._fields(event, titles) if self.is_seen else []
        return ChangeTold(
            event=event,
            url=self._url("event", event.pk),
            time=short_time(event.occurred_at),
            happened=_happened(event),
            fields=fields[:MOST_FIELDS],
            more_fields=max(len(fields) - MOST_FIELDS, 0),
            by=_by(event, change.told.caused_by, rule_names),
            by_url=self._url("execution", event.cause_id) if change.told.caused_by else "",
            verdicts=[self._told(verdict, event, titles) for verdict in shown],
            folded=[self._told(verdict, event, titles) for verdict in folded],
        )

    def _fields(self, event: Event, titles: Titles) -> list[str]:
        """What changed, ``Status: Draft → Paid`` each; of what was not stored the name."""
        seen, _hidden = visible(event.context, event.model, may_view(self.request.user))
        changes, words = seen.get("changes") or {}, []
        if event.operation == "create":
            return []
        for name in seen.get("changed") or changes:
            ends = changes.get(name)
            if not isinstance(ends, Mapping):
                words.append(titles.field(str(name)))
                continue
            words.append(change_words(titles, name, ends.get("old"), ends.get("new")))
        return words

    def _told(self, verdict: Verdict, event: Event, titles: Titles) -> Told:
        said, rule = verdict.said, verdict.said.rule
        speaker = Speaker(
            titles,
            self.names,
            self.rights,
            is_object_seen=self.is_seen,
            is_rule_seen=rule is not None and self._is_rule_seen(rule),
            rule=rule,
            event_id=event.pk,
            signal=event.signal,
        )
        stop = said.stop if self.is_seen and speaker.is_rule_seen and said.stop is not None else None
        return Told(
            name=str(rule or said.slug),
            url=self._url("rule", rule.pk) if rule is not None else "",
            outcome=verdict.outcome,
            label=str(OUTCOMES[verdict.outcome]),
            sentence=sentence_of(verdict, speaker),
            links=[link for link in links_of(verdict, speaker) if link.url != self.request.path],
            stop=shown_gate(stop, titles) if stop is not None else None,
            stored={titles.title(name): value_words(titles, name, value) for name, value in said.stored.items()}
            if stop
            else {},
            test_url=self._test_url(rule, event) if stop is not None and stop.missing else "",
            is_worked_out=verdict.outcome in ("not_matched", "failed") and not said.is_recorded,
        )

    def _url(self, name: str, pk: Any) -> str:
        """Where it is looked at; empty for whoever may not."""
        return page_url(name, pk) if name in self.rights else ""

    def _test_url(self, rule: Rule | None, event: Event) -> str:
        return test_url(rule, event.object_pk) if self.may_test and rule is not None else ""

    def _is_rule_seen(self, rule: Rule) -> bool:
        if rule.slug not in self.seen_rules:
            self.seen_rules[rule.slug] = not unseen(self.request.user, rule.spec())
        return self.seen_rules[rule.slug]


def test_url(rule: Rule, pk: str) -> str:
    """Where this rule is tested on the object."""
    return f"{reverse('admin:rules_engine_rule_test', args=[rule.pk])}?{urlencode({'pk': pk})}"


def why_url(label: str, pk: str) -> str:
    """Where all changes of an object are told."""
    return f"{reverse('admin:rules_engine_rule_why')}?{urlencode({'model': label, 'pk': pk})}"


def _parted(verdicts: Sequence[Verdict], most: int) -> tuple[list[Verdict], list[Verdict]]:
    """Those that are told at once, and those that are folded."""
    shown: list[Verdict] = []
    folded: list[Verdict] = []
    stopped = 0
    for verdict in verdicts:
        stopped += verdict.outcome == "not_matched"
        is_one_more = verdict.outcome == "not_matched" and stopped > most
        (folded if verdict.is_folded or is_one_more else shown).append(verdict)
    return shown, folded


def _by(event: Event, caused_by: str | None, rule_names: Mapping[str, str]) -> str:
    """By whom, or by which rule's action; empty where nobody is on record."""
    if caused_by:
        return gettext("by the rule %s") % (rule_names.get(caused_by) or caused_by)
    return gettext("by %s") % event.actor_name if event.actor_name else ""


def _happened(event: Event) -> str:
    """What happened, in a word or two: ``created``, ``Tags added``, ``order paid``."""
    about = event.context.get("m2m") or {}
    if event.operation and about.get("field"):
        field = Titles.of(event.model).field(str(about["field"]))
        return gettext("%(field)s: %(operation)s (%(count)s)") % {
            "field": field,
            "operation": OPERATION_WORDS.get(event.operation, event.operation),
            "count": about.get("count", ""),
        }
    if not event.operation:
        return str(SIGNALS.get(event.signal) or signal_words(event.signal))
    is_before = event.signal in AFTER
    text = gettext("%(model)s was to be %(operation)s") if is_before else gettext("%(model)s was %(operation)s")
    operation = OPERATION_WORDS.get(event.operation, event.operation)
    return text % {"model": model_title(event.model), "operation": operation}
