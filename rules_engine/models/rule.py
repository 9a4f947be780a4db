"""Rules as administrators write them, and their versions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, ClassVar

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from rules_engine.databases.uncached import UncachedQuerySet
from rules_engine.errors import Problem
from rules_engine.models.rule_set import AnnouncingModel, AnnouncingQuerySet
from rules_engine.rules import registry
from rules_engine.rules.holding import LONGEST_DELAY, constant_keys
from rules_engine.rules.validation import action_problems, check_labels, raise_at_fields, rule_problems
from rules_engine.surroundings import own_rules
from rules_engine.surroundings.state import LONGEST
from rules_engine.types import ActionSpec, RuleSpec

LONGEST_SLUG = 100


class RuleQuerySet(AnnouncingQuerySet):
    """Rules, as ``Rule.objects`` gives them."""

    def get_by_natural_key(self, slug: str) -> Rule:
        """Return the rule of that slug, for fixtures."""
        return self.get(slug=slug)  # type: ignore[no-any-return]

    def seen_here(self) -> RuleQuerySet:
        """Return those that are shown here: at home all of them, and elsewhere those of here where these have any."""
        return self.filter(**own_rules.seen_from_here())

    def free_slug(self, slug: str) -> str:
        """Return the slug, or else with the first number under which no rule is kept yet."""
        number, candidate = 1, slug
        while self.filter(slug=candidate).exists():
            number += 1
            ending = f"-{number}"
            candidate = slug[: LONGEST_SLUG - len(ending)] + ending
        return candidate

    def specs(self) -> list[RuleSpec]:
        """These rules with their actions as plain data, in the order they are tried."""
        return list(self.specs_by_key().values())

    def specs_by_key(self, most: int | None = None) -> dict[Any, RuleSpec]:
        """These rules with their actions as plain data, by primary key, in the order they are tried; perhaps not all of
        them."""
        rules = list(self.order_by("position", "slug")[:most])
        # By hand: a related manager for each of a thousand rules takes longer than all the rest.
        actions: dict[Any, list[ActionSpec]] = defaultdict(list)
        for action in RuleAction._default_manager.using(self.db).filter(rule__in=[rule.pk for rule in rules]):
            actions[action.rule_id].append(action.spec())
        return {rule.pk: rule.spec_with(actions[rule.pk]) for rule in rules}


class Rule(AnnouncingModel):
    """When this happens to that model, only if these fields changed and this condition holds, do these things."""

    slug = models.SlugField(
        _("slug"), max_length=LONGEST_SLUG, unique=True, help_text=_("Its name for packs and logs.")
    )
    name = models.CharField(_("name"), max_length=200)
    description = models.TextField(_("description"), blank=True)
    labels = models.JSONField(
        _("labels"), null=True, blank=True, validators=[check_labels], help_text=_("What rules are grouped by.")
    )
    enabled = models.BooleanField(_("enabled"), default=True)
    shadow = models.BooleanField(
        _("shadow"), default=False, help_text=_("Evaluate and record on real changes, but do nothing.")
    )
    model = models.CharField(
        _("model"), max_length=200, blank=True, help_text=_("Such as clinic.doctor; empty for a signal of no model.")
    )
    # A rule on time alone has none, which validation tells from one that lacks them.
    signals = models.JSONField(_("signals"), default=list, blank=True)
    operations = models.JSONField(_("operations"), default=list, blank=True)
    changes = models.JSONField(_("change conditions"), default=list, blank=True)
    condition = models.JSONField(_("condition"), null=True, blank=True)
    position = models.IntegerField(_("position"), default=0)
    stop_processing = models.BooleanField(
        _("stop processing"), default=False, help_text=_("If it matches, later rules are not tried on the same event.")
    )
    raw = models.BooleanField(
        _("also when data is loaded"),
        default=False,
        help_text=_("Rules do not see what loaddata saves, unless this is ticked."),
        db_default=False,
    )
    sample_percent = models.PositiveSmallIntegerField(
        _("sample, in percent"),
        default=100,
        validators=[MinValueValidator(1), MaxValueValidator(100)],
        help_text=_("Tried on this share of all events, chosen by chance."),
        db_default=100,
    )
    active_from = models.DateTimeField(_("active from"), null=True, blank=True)
    active_until = models.DateTimeField(_("active until"), null=True, blank=True)
    once = models.BooleanField(
        _("once per object"),
        default=False,
        help_text=_("It acts on the first match of each object, and never again."),
        db_default=False,
    )
    throttle_count = models.PositiveIntegerField(
        _("at most so many times"), null=True, blank=True, validators=[MinValueValidator(1)]
    )
    throttle_seconds = models.PositiveIntegerField(
        _("in so many seconds"), null=True, blank=True, validators=[MinValueValidator(1)]
    )
    throttle_by = models.TextField(
        _("counted separately for each"),
        blank=True,
        help_text=_("A text such as {{ instance.customer_id }}; empty: the rule as a whole."),
        default="",
        db_default="",
    )
    coalesce_seconds = models.PositiveIntegerField(
        _("wait for more, in seconds"),
        null=True,
        blank=True,
        validators=[MaxValueValidator(LONGEST_DELAY)],
        help_text=_("Of several matches in that time only the last one acts. 0: of those in one transaction."),
    )
    coalesce_by = models.TextField(
        _("taken together by"),
        blank=True,
        help_text=_("A text such as {{ signal.path }}; empty: the object."),
        default="",
        db_default="",
    )
    debounce = models.BooleanField(
        _("wait until it is quiet"),
        default=False,
        help_text=_("Each further match starts the wait again."),
        db_default=False,
    )
    schedule = models.JSONField(
        _("schedule"), null=True, blank=True, help_text=_("When it acts by the clock; empty: on signals alone.")
    )
    # DO_NOTHING: deleting a user must cost nothing and must not turn their rules into the operator's.
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("author"),
        null=True,
        blank=True,
        editable=False,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        related_name="+",
    )
    #: Those that it holds in alone, where its author is as well; empty: it holds in all.
    surroundings = models.CharField(
        _("surroundings"), max_length=LONGEST, default=own_rules.made_here, db_default="", blank=True, editable=False
    )
    updated_at = models.DateTimeField(_("updated"), auto_now=True)

    rule_key = "pk"
    #: The admin's form says what is wrong by itself, at its own fields and for the whole rule.
    is_checked_by_form = False

    objects = RuleQuerySet.as_manager()

    class Meta:
        verbose_name = _("rule")
        verbose_name_plural = _("rules")
        ordering = ("position", "slug")
        permissions = [
            ("test_rule", _("Can test rules and run them over recorded events")),
            ("enable_rule", _("Can switch rules on and off, and change those that are on")),
            ("run_rule", _("Can run rules on what is there")),
        ]

    def __str__(self) -> str:
        return self.name or self.slug

    def clean(self) -> None:
        """Raise what ``full_clean`` says of the rule without its actions: each problem at its field."""
        if not self.is_checked_by_form:
            spec = self.spec_with([])
            raise_at_fields([*rule_problems(spec), *new_constant_keys(spec)])

    def natural_key(self) -> tuple[str]:
        """Return what fixtures call this rule."""
        return (self.slug,)

    def spec(self) -> RuleSpec:
        """Return the rule with its actions as plain data."""
        actions = sorted(self.actions.all(), key=lambda action: action.position)
        return self.spec_with([action.spec() for action in actions])

    def spec_with(self, actions: Sequence[ActionSpec]) -> RuleSpec:
        """Return the rule as plain data, with these actions in place of the stored ones."""
        return RuleSpec(
            slug=self.slug,
            name=self.name,
            description=self.description,
            labels=_texts(self.labels),
            enabled=self.enabled,
            shadow=self.shadow,
            model=self.model,
            signals=_texts(self.signals),
            operations=_texts(self.operations),
            changes=tuple(self.changes) if isinstance(self.changes, list) else (self.changes,),
            condition=self.condition,
            position=self.position,
            stop_processing=self.stop_processing,
            raw=self.raw,
            sample_percent=self.sample_percent,
            active_from=self.active_from,
            active_until=self.active_until,
            once=self.once,
            throttle_count=self.throttle_count,
            throttle_seconds=self.throttle_seconds,
            throttle_by=self.throttle_by,
            coalesce_seconds=self.coalesce_seconds,
            coalesce_by=self.coalesce_by,
            debounce=self.debounce,
            schedule=self.schedule,
            author_id=self.author_id,
            actions=tuple(actions),
            surroundings=self.surroundings,
        )


def new_constant_keys(rule: RuleSpec) -> list[Problem]:
    """Say of the rule's keys that are constant, and not stored so already, what is wrong with them."""
    problems = list(constant_keys(rule))
    if not problems:
        return []
    stored = Rule.objects.filter(slug=rule.slug).first()
    names = {problem: problem.pointer.removeprefix("/") for problem in problems}
    return [
        problem
        for problem, name in names.items()
        if stored is None or getattr(stored, name).strip() != getattr(rule, name).strip()
    ]


def _texts(value: Any) -> tuple[Any, ...]:
    """Return what stands in the column, so that validation can complain of it: a lone string is a list of one."""
    return tuple(value) if isinstance(value, list | tuple) else () if value in (None, "") else (value,)


class RuleActionQuerySet(AnnouncingQuerySet):
    """Actions, as ``RuleAction.objects`` gives them."""

    def get_by_natural_key(self, slug: str, position: int) -> RuleAction:
        """Return the action at that place of that rule, for fixtures."""
        return self.get(rule__slug=slug, position=position)  # type: ignore[no-any-return]


class RuleAction(AnnouncingModel):
    """One thing a rule does, as configured."""

    class Timing(models.TextChoices):
        BEFORE_SAVE = "before_save", _("before the save, on the object")
        IN_TRANSACTION = "in_transaction", _("at once, in the same transaction")
        AFTER_COMMIT = "after_commit", _("after the commit, by a worker")

    class OnFailure(models.TextChoices):
        GO_ON = "go_on", _("the next actions go on")
        STOP = "stop", _("the next actions are not carried out")

    rule = models.ForeignKey(Rule, on_delete=models.CASCADE, related_name="actions", verbose_name=_("rule"))
    position = models.PositiveIntegerField(_("position"), default=0)
    kind = models.CharField(_("kind"), max_length=100)
    config = models.JSONField(_("config"), default=dict, blank=True)
    enabled = models.BooleanField(_("enabled"), default=True)
    timing = models.CharField(_("when"), max_length=20, choices=Timing.choices, default=Timing.AFTER_COMMIT)
    delay = models.PositiveIntegerField(
        _("delay, in seconds"), default=0, validators=[MaxValueValidator(LONGEST_DELAY)], db_default=0
    )
    on_failure = models.CharField(
        _("if it fails"), max_length=10, choices=OnFailure.choices, default=OnFailure.GO_ON, db_default=OnFailure.GO_ON
    )
    for_each = models.JSONField(
        _("once for each of"),
        null=True,
        blank=True,
        help_text=_("A relation such as instance.items, or an expression that gives a list; texts then read each."),
    )
    at = models.CharField(_("wait until"), max_length=5, blank=True, default="", db_default="")
    zone = models.CharField(_("time zone"), max_length=64, blank=True, default="", db_default="")
    asks_again = models.BooleanField(_("only if it still holds"), default=False, db_default=False)

    rule_key = "rule_id"
    #: As on ``Rule``.
    is_checked_by_form = False

    objects = RuleActionQuerySet.as_manager()

    class Meta:
        verbose_name = _("action")
        verbose_name_plural = _("actions")
        ordering = ("position",)
        constraints = [models.UniqueConstraint(fields=("rule", "position"), name="rules_engine_action_position")]

    def __str__(self) -> str:
        return f"{self.position}: {registry.title(self.kind)}"

    def clean(self) -> None:
        """Raise what ``full_clean`` says of the action: each problem at its field."""
        if not self.is_checked_by_form:
            raise_at_fields(action_problems(self.spec(), self.rule.spec_with([])))

    def natural_key(self) -> tuple[str, int]:
        """Return what fixtures call this action."""
        return (self.rule.slug, self.position)

    natural_key.dependencies = ["rules_engine.rule"]  # type: ignore[attr-defined]

    def spec(self) -> ActionSpec:
        """Return the action as plain data."""
        timing: Any = self.timing
        on_failure: Any = self.on_failure
        later: Any = {"at": self.at, "zone": self.zone, "asks_again": self.asks_again}
        return ActionSpec(
            self.kind, self.config, self.position, self.enabled, timing, self.delay, on_failure, self.for_each, **later
        )


class RuleVersion(models.Model):
    """What a rule said when processes began to run it. Written by whichever process compiles the new form first."""

    rule_slug = models.CharField(_("rule"), max_length=100)
    number = models.PositiveIntegerField(_("version"))
    digest = models.CharField(max_length=64, editable=False)
    content = models.JSONField(_("content"))
    author_id = models.CharField(_("author"), max_length=64, blank=True)
    created_at = models.DateTimeField(_("first used"), auto_now_add=True)

    objects: ClassVar[models.Manager[RuleVersion]] = UncachedQuerySet.as_manager()

    class Meta:
        verbose_name = _("rule version")
        verbose_name_plural = _("rule versions")
        ordering = ("rule_slug", "-number")
        # Two processes that compile the same edit race to write its version; this lets one of them win.
        constraints = [models.UniqueConstraint(fields=("rule_slug", "number"), name="rules_engine_version_number")]

    def __str__(self) -> str:
        return f"{self.rule_slug} v{self.number}"
