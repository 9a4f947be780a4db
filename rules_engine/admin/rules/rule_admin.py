"""Rules in the admin: when, only if, then do."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import escape, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from rules_engine.admin.cards.beside import beside, notices
from rules_engine.admin.cards.collapsing import SHOWN, UnfoldingFormSet, unfolded
from rules_engine.admin.cards.layout import cards_of, section
from rules_engine.admin.conditions.builder import FieldsMixin
from rules_engine.admin.kept.before_on import warn_of_failing
from rules_engine.admin.limits.spans import span_words
from rules_engine.admin.overview.page import OverviewMixin
from rules_engine.admin.parts.guarding import GuardedAdmin
from rules_engine.admin.parts.labels import CANNOT_SEE, model_title, operation_words, signal_words
from rules_engine.admin.parts.rendering import text_block
from rules_engine.admin.pauses import of_rules
from rules_engine.admin.prose.holding import held_back
from rules_engine.admin.prose.marks import words_of
from rules_engine.admin.prose.reader import Reader
from rules_engine.admin.reading import states
from rules_engine.admin.reading.rule import changes_block, condition_block, rows_block, settings_block, timed_block
from rules_engine.admin.reading.sentence import sentence_for
from rules_engine.admin.reading.source import SourceMixin
from rules_engine.admin.rules import rule_labels, switching
from rules_engine.admin.rules.action_forms import RuleActionForm, RuleActionFormSet
from rules_engine.admin.rules.drafts import SentenceMixin
from rules_engine.admin.rules.forms import RuleForm
from rules_engine.admin.rules.from_template import FromTemplateMixin
from rules_engine.admin.rules.rule_list import RuleListMixin
from rules_engine.admin.rules.rule_pages import RulePagesMixin
from rules_engine.models import Rule, RuleAction
from rules_engine.rules import registry
from rules_engine.rules.permissions import lacking, needed_of_signals
from rules_engine.rules.validation import MOST_ACTIONS
from rules_engine.surroundings.own_rules import is_changed_here
from rules_engine.test.seen.unseen import unseen_changes
from rules_engine.test.unsent import unsaved_rows

HOLDING_ROWS = (
    ("throttle_count", "throttle_seconds", "throttle_by"),
    ("coalesce_seconds", "coalesce_by"),
    "debounce",
    "once",
)
HOLDING_HELP = _("Left as it is, the rule acts each time that it matches, and at once.")
#: What whoever may only look at a rule reads in words.
READ = ("model", "signals", "operations", "changes", "condition", "labels", "held_back", "schedule")
#: What the *When* card stores, beside the model and the changes that it shows.
STORED_WHEN = ("signals", "operations", "schedule")
MORE = (("active_from", "active_until"), "shadow", "sample_percent", "raw", "position", "stop_processing")


def _unheard(rule: Rule | None) -> Any:
    """What this rule would hear of if Django told."""
    said = list(unseen_changes(rule.spec())) if rule is not None else []
    return format_html_join("", "<p><strong>{}</strong></p>", ((one,) for one in said))


def _unsaved(rule: Rule | None) -> str:
    return escape(unsaved_rows(rule.spec())) if rule is not None else ""


class RuleActionInline(admin.StackedInline):
    """The actions of a rule. Whoever may change the rule may change them."""

    model = RuleAction
    form = RuleActionForm
    formset = RuleActionFormSet
    template = "admin/rules_engine/rule/action_rows.html"
    ordering = ("position",)
    verbose_name_plural = _("Then")

    def get_extra(self, request: HttpRequest, obj: Any = None, **options: Any) -> int:
        return 0 if obj else 1

    def get_formset(self, request: HttpRequest, obj: Any = None, **options: Any) -> Any:
        # Without the second bound Django makes a thousand more forms than are allowed before it says so.
        bounds = {"max_num": MOST_ACTIONS, "validate_max": True, "absolute_max": MOST_ACTIONS + 1}
        formset = super().get_formset(request, obj, **{**bounds, **options})
        formset.user = request.user  # type: ignore[attr-defined]
        return formset

    def _may_write(self, request: HttpRequest, rule: Rule | None) -> bool:
        page = self.admin_site.get_model_admin(Rule)
        return page.has_change_permission(request, rule) if rule else page.has_add_permission(request)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may_write(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may_write(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may_write(request, obj)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may_write(request, obj) or request.user.has_perm("rules_engine.view_rule")

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        config = "config" if self._may_write(request, obj) else "config_shown"
        each = "for_each" if self._may_write(request, obj) else "for_each_shown"
        delay = "delay" if self._may_write(request, obj) else "delay_shown"
        rest = {
            "fields": ("position", "timing", each, delay, ("at", "zone"), "asks_again", "on_failure"),
            "classes": ("collapse",),
        }
        kind = "kind" if self._may_write(request, obj) else "kind_shown"
        return [
            (None, {"fields": ((kind, "enabled"), config)}),
            (_("More: place, when it acts, repetition, delay, failure"), rest),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if self._may_write(request, obj):
            return ()
        return (
            "position",
            "kind_shown",
            "timing",
            "enabled",
            "config_shown",
            "for_each_shown",
            "delay_shown",
            "at",
            "zone",
            "asks_again",
            "on_failure",
        )

    @admin.display(description=_("What to do"))
    def kind_shown(self, action: RuleAction) -> str:
        known = registry.find(action.kind)
        return action.kind if known is None else str(known.label)

    @admin.display(description=_("Settings"))
    def config_shown(self, action: RuleAction) -> SafeString:
        return settings_block(action.kind, action.config)

    @admin.display(description=_("Once for each of"))
    def for_each_shown(self, action: RuleAction) -> SafeString:
        return rows_block(action.for_each)

    @admin.display(description=_("Delay"))
    def delay_shown(self, action: RuleAction) -> str:
        return span_words(action.delay) if action.delay else "–"


@admin.register(Rule)
class RuleAdmin(
    OverviewMixin,
    RuleListMixin,
    SentenceMixin,
    FromTemplateMixin,
    SourceMixin,
    RulePagesMixin,
    FieldsMixin,
    switching.SwitchingMixin,
    of_rules.PausingMixin,
    GuardedAdmin,
):
    """Rules and their actions."""

    form = RuleForm
    inlines = (RuleActionInline,)
    actions = (
        *(switching.enable, switching.disable, switching.duplicate, switching.export),
        *(rule_labels.label, of_rules.pause, of_rules.resume),
    )
    prepopulated_fields = {"slug": ("name",)}
    change_form_template = "admin/rules_engine/rule/change_form.html"
    change_list_template = "admin/rules_engine/rule/change_list.html"

    class Media:
        css = {
            "all": [
                "rules_engine/themes.css",
                "rules_engine/admin.css",
                "rules_engine/pauses.css",
                "rules_engine/rule-form.css",
                "rules_engine/rule-list.css",
            ]
        }

    # The form

    def _may_write(self, request: HttpRequest, rule: Rule | None) -> bool:
        return self.has_change_permission(request, rule) if rule else self.has_add_permission(request)

    def has_enable_permission(self, request: HttpRequest) -> bool:
        """Whether the user may switch rules on and off."""
        return request.user.has_perm("rules_engine.enable_rule")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        if obj is not None and not is_changed_here(obj.surroundings):
            return False
        # To change what a rule that is on does is to switch on another one. Remembered, since the form writes into it.
        is_on = obj is not None and obj.__dict__.setdefault("was_on", obj.enabled)
        return super().has_change_permission(request, obj) and (not is_on or self.has_enable_permission(request))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # To delete a rule that is on is to switch it off. Django asks this of each of several rules, and of whatever
        # goes along with something else that is deleted.
        is_on = obj is not None and obj.enabled
        return super().has_delete_permission(request, obj) and (not is_on or self.has_enable_permission(request))

    def get_fieldsets(self, request: HttpRequest, obj: Rule | None = None) -> Any:
        ending = "" if self._may_write(request, obj) else SHOWN
        seen = ("seen",) if obj and not ending else ()
        written = ("author_shown", "updated_at") if obj else ()
        return [
            section("top", "name", "description", f"labels{ending}", *seen),
            section("when", f"model{ending}", f"changes{ending}", description=_unheard(obj)),
            section("when", *(f"{name}{ending}" for name in STORED_WHEN), advanced=True, description=CANNOT_SEE),
            section("only-if", f"condition{ending}", description=_unsaved(obj)),
            section("at-most", *(HOLDING_ROWS if not ending else ("held_back_shown",)), description=HOLDING_HELP),
            section("more", "slug", *MORE, *written, advanced=True),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Rule | None = None) -> Any:
        shown = ("author_shown", "updated_at")
        if not self._may_write(request, obj):
            return (
                *shown,
                *(f"{name}{SHOWN}" for name in READ),
            )
        # Executions and errors name the slug, so it stays once it is given.
        return (*shown, "slug") if obj else shown

    def get_prepopulated_fields(self, request: HttpRequest, obj: Rule | None = None) -> Any:
        return {} if obj else self.prepopulated_fields

    def get_form(self, request: HttpRequest, obj: Rule | None = None, change: bool = False, **options: Any) -> Any:
        form = super().get_form(request, obj, change, **options)
        form.user = request.user  # type: ignore[attr-defined]
        return form

    def save_model(self, request: HttpRequest, obj: Rule, form: Any, change: bool) -> None:
        if not change or form.has_changed():
            # Who groups rules does not answer for them.
            if set(form.changed_data) != {"labels"}:
                obj.author = self._author(request)
            if not change:
                # It acts when somebody has tested it, or has decided that it should; a button does that.
                obj.enabled = False
            super().save_model(request, obj, form, change)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        rule = form.instance
        if rule.author_id != request.user.pk and any(formset.has_changed() for formset in formsets):
            rule.author = self._author(request)
            rule.save(update_fields=["author", "updated_at"])
        if change and any(one.has_changed() for one in (form, *formsets)):
            warn_of_failing(self, request, rule)
        if missing := lacking(request.user, needed_of_signals(rule.spec())):
            self.message_user(request, _unseen_of_signals(missing), messages.WARNING)

    def _author(self, request: HttpRequest) -> Any:
        return request.user

    def response_post_save_add(self, request: HttpRequest, obj: Rule) -> Any:
        return _to_test(request, obj) or self._to_switch(request, obj)

    def _to_switch(self, request: HttpRequest, rule: Rule) -> Any:
        """A new rule is off: its own page, for whoever may see it, says what is next."""
        if not self.has_view_permission(request, rule):
            return super().response_post_save_add(request, rule)
        return HttpResponseRedirect(reverse("admin:rules_engine_rule_change", args=[rule.pk]))

    def response_post_save_change(self, request: HttpRequest, obj: Rule) -> Any:
        return _to_test(request, obj) or super().response_post_save_change(request, obj)

    def get_inline_formsets(self, *args: Any, **options: Any) -> Any:
        return [UnfoldingFormSet.of(formset) for formset in super().get_inline_formsets(*args, **options)]

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **options: Any) -> Any:
        drawn = context["adminform"]
        drawn.fieldsets = unfolded(drawn.fieldsets, drawn.form)
        context["sentence_url"] = reverse("admin:rules_engine_rule_sentence")
        if (edited := context.get("original")) is not None:
            # The form puts into that one what is typed; this is about what is stored.
            stored = edited if request.method == "GET" else self.get_queryset(request).get(pk=edited.pk)
            context |= {"rule": notices(request, stored), "beside": beside(request, stored)}
            context["sentence_url"] += f"?{urlencode({'pk': edited.pk})}"
        context["sentence"] = sentence_for(Rule() if edited is None else stored, Reader(request.user))
        context["cards"] = cards_of(drawn, context["inline_admin_formsets"])
        return super().render_change_form(request, context, *args, **options)

    # What whoever may not change a rule sees of it

    @admin.display(description=_("author"))
    def author_shown(self, rule: Rule) -> str:
        return str(states.author_of(rule) or "–")

    @admin.display(description=_("Labels"))
    def labels_shown(self, rule: Rule) -> str:
        return ", ".join(rule_labels.labels_of(rule)) or "–"

    @admin.display(description=_("Model"))
    def model_shown(self, rule: Rule) -> str:
        return f"{model_title(rule.model)} ({rule.model})" if rule.model else "–"

    @admin.display(description=_("What happens"))
    def signals_shown(self, rule: Rule) -> SafeString:
        return text_block("\n".join(signal_words(str(name)) for name in rule.spec().signals))

    @admin.display(description=_("On time"))
    def schedule_shown(self, rule: Rule) -> SafeString:
        return timed_block(rule.spec())

    @admin.display(description=_("Only when it was"))
    def operations_shown(self, rule: Rule) -> SafeString:
        return text_block("\n".join(operation_words(str(name)) for name in rule.spec().operations))

    @admin.display(description=_("Only if these fields changed"))
    def changes_shown(self, rule: Rule) -> SafeString:
        return changes_block(rule.changes, rule.model)

    @admin.display(description=_("How often it acts"))
    def held_back_shown(self, rule: Rule) -> str:
        return capfirst(str(words_of(", ".join(held_back(rule.spec()))))) or "–"

    @admin.display(description=_("Condition"))
    def condition_shown(self, rule: Rule) -> SafeString:
        return condition_block(rule.condition, rule.model)


def _to_test(request: HttpRequest, rule: Rule) -> HttpResponseRedirect | None:
    """Where "Save and test" leads."""
    url = reverse("admin:rules_engine_rule_test", args=[rule.pk])
    return HttpResponseRedirect(url) if "_test" in request.POST else None


def _unseen_of_signals(missing: list[str]) -> str:
    text = gettext(
        "What a signal sends of an object is for those who may view it, and you lack the permission %(missing)s. Where "
        "the rule reads more than which object it is, it fails, or its action is refused."
    )
    return text % {"missing": ", ".join(missing)}
