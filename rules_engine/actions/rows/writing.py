"""Which models and fields rules may write, and how what the database refuses is said.

Nothing here looks at who the rule's author is: what is refused here is refused to everybody.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.apps import apps
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.sessions.base_session import AbstractBaseSession
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import DataError, IntegrityError, NotSupportedError, ProgrammingError, models, router
from django.utils.translation import gettext

from rules_engine.actions.rows.trees import is_placed_by_methods, tree_columns
from rules_engine.context.paths import (
    ModelClass,
    field_of,
    find_model,
    is_denied,
    is_sensitive,
    is_user_model,
    label_of,
    unknown_name,
)
from rules_engine.context.subject import Field
from rules_engine.databases import database_of
from rules_engine.errors import PermanentError, Refused, TransientError, UnknownPath, did_you_mean
from rules_engine.hidden.fields import is_hidden
from rules_engine.hidden.secret_names import is_secret
from rules_engine.models import Execution

#: Apps whose tables decide who may do what, or record who did.
DENIED_APPS = frozenset({"admin", "auth", "authtoken", "contenttypes", "sessions"})
#: Who has a row that points here, has what it grants.
GRANTS = frozenset({"auth.permission", "auth.group"})
UNWRITABLE = (models.AutoField, models.BigAutoField, models.SmallAutoField, models.BinaryField, models.FileField)


def is_forbidden(model: ModelClass) -> bool:
    """Say whether no rule may ever write the model: users, permissions, sessions, tokens and our own tables.

    A subclass or a proxy of such a model is one too, and so is what grants permissions and the bare table of a
    many-to-many relation.
    """
    lineage = [
        ancestor for ancestor in model.__mro__ if issubclass(ancestor, models.Model) and hasattr(ancestor, "_meta")
    ]
    return (
        any(_is_forbidden_itself(ancestor) for ancestor in lineage)
        or issubclass(model, AbstractBaseUser | AbstractBaseSession)
        or is_user_model(model)
        or bool(model._meta.auto_created)
        or bool(model._meta.swapped)
        or any(_grants(field) for field in model._meta.concrete_fields)
    )


def _is_forbidden_itself(model: ModelClass) -> bool:
    return is_denied(model) or model._meta.app_label in DENIED_APPS or is_secret(model.__name__)


def _grants(field: Field) -> bool:
    related = field.related_model if field.is_relation else None
    return isinstance(related, type) and issubclass(related, models.Model) and label_of(related) in GRANTS


def writable_model(label: str) -> ModelClass:
    """Return the model of that label. Raises ``UnknownPath`` with a suggestion, or ``Refused`` where rules may not
    write."""
    model = find_model(label)
    if model is None:
        known = sorted(label_of(candidate) for candidate in apps.get_models() if not is_forbidden(candidate))
        raise UnknownPath(
            gettext('There is no model "%(label)s".%(hint)s') % {"label": label, "hint": did_you_mean(label, known)}
        )
    if is_forbidden(model):
        raise Refused(gettext("Rules may not write %(model)s.") % {"model": model._meta.verbose_name})
    if router.db_for_write(model) != router.db_for_write(Execution):
        raise Refused(
            gettext("Rules may not write %(model)s: it lies in another database than the rules.")
            % {"model": model._meta.verbose_name}
        )
    return model


def creatable_model(label: str) -> ModelClass:
    """Return the writable model of that label, of which a plain save makes a row. Raises as ``writable_model``, and
    ``Refused`` for a node of a tree."""
    model = writable_model(label)
    if is_placed_by_methods(model):
        raise Refused(
            gettext(
                "Rules cannot create %(model)s: it is a node of a tree, and only the tree's own methods, such as"
                " add_child, give it a place; let an action of your own call them."
            )
            % {"model": model._meta.verbose_name}
        )
    return model


def writable_field(model: ModelClass, name: str, *, creating: bool) -> Field:
    """Return the field of that name or column. Raises ``UnknownPath`` with a suggestion, or ``Refused``."""
    title = model._meta.verbose_name
    if is_sensitive(model, name):
        raise Refused(gettext('Rules may not write "%(name)s" of %(title)s.') % {"name": name, "title": title})
    try:
        field = field_of(model, name)
    except UnknownPath as error:
        if any(relation.name == name for relation in model._meta.many_to_many):
            raise Refused(
                gettext('"%(name)s" is a relation to many, and has no value of its own to write.') % {"name": name}
            ) from error
        raise UnknownPath(unknown_name(model, name)) from error
    if is_hidden(field):
        # What is to be written stands in the rule's config and in what its execution did.
        raise Refused(gettext('Rules may not write "%(name)s" of %(title)s.') % {"name": name, "title": title})
    if _is_key(field) and not (creating and not _is_made(field)):
        raise Refused(gettext('Rules may not write the key of %(title)s, "%(name)s".') % {"title": title, "name": name})
    if field.name in tree_columns(model):
        raise Refused(
            gettext(
                'Rules may not write "%(name)s" of %(title)s: it keeps the tree in order, whose own methods write it.'
            )
            % {"name": name, "title": title}
        )
    if isinstance(field, UNWRITABLE) or getattr(field, "generated", False):
        raise Refused(
            gettext('Rules may not write "%(name)s" of %(title)s: files, binary and generated columns are left alone.')
            % {"name": name, "title": title}
        )
    return field


def _is_key(field: Field) -> bool:
    return field.primary_key or _is_parent_link(field)


def _is_parent_link(field: Field) -> bool:
    return bool(field.remote_field and getattr(field.remote_field, "parent_link", False))


def _is_made(field: Field) -> bool:
    """Say whether the key is made by the database, or is that of the row's other half (multi-table inheritance)."""
    return isinstance(field, UNWRITABLE) or _is_parent_link(field)


def permission(right: str, model: ModelClass) -> str:
    """Such as ``"shop.add_order"``."""
    return f"{model._meta.app_label}.{right}_{model._meta.model_name}"


def invalid(model: ModelClass, error: ValidationError) -> PermanentError:
    """Return the error as a sentence that names the fields and never what was in them; raise it ``from None``."""
    by_field = error.error_dict if hasattr(error, "error_dict") else {NON_FIELD_ERRORS: error.error_list}
    parts = []
    for name, errors in by_field.items():
        codes = ", ".join(dict.fromkeys(str(error.code or "invalid") for error in errors))
        parts.append(f"{gettext('its fields together') if name == NON_FIELD_ERRORS else name} ({codes})")
    return PermanentError(
        gettext("%(model)s cannot be saved: %(parts)s.")
        % {"model": str(model._meta.verbose_name).capitalize(), "parts": "; ".join(parts)}
    )


@contextmanager
def refusals_in_words(model: ModelClass) -> Iterator[None]:
    """Say what the database refuses to write, without the values that its own messages quote.

    A clash of keys may be with a row that is on its way, so another try may find it and say which field it is.
    """
    taken = gettext("The database does not take these values for %(model)s.") % {"model": model._meta.verbose_name}
    failure: Exception
    try:
        yield
    except (DataError, OverflowError):  # a whole number beyond 64 bits gets no further than SQLite's driver
        failure = PermanentError(taken)
    except ProgrammingError as error:
        if not database_of(router.db_for_write(model)).refuses_value(error):
            raise
        failure = PermanentError(taken)
    except NotSupportedError:
        failure = PermanentError(
            gettext("The database has no such way to look for %(model)s; filter by something else.")
            % {"model": model._meta.verbose_name}
        )
    except IntegrityError:
        message = gettext("The database refused %(model)s: it would break a constraint.") % {
            "model": model._meta.verbose_name
        }
        failure = TransientError(message)
    else:
        return
    # Outside of the block, so that the database's message does not follow it into the log.
    raise failure
