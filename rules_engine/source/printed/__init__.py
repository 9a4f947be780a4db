"""Small functions that are printed along with a module that needs them: what JSONLogic does and Python does not."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import dedent


@dataclass(frozen=True, slots=True)
class Printed:
    """A function's source, the imports it needs (``("", "operator")`` is a whole module), and the functions."""

    source: str
    imports: tuple[tuple[str, str], ...] = ()
    functions: tuple[str, ...] = ()


def _printed(source: str, *imports: tuple[str, str], functions: tuple[str, ...] = ()) -> Printed:
    return Printed(dedent(source).strip(), imports, functions)


FUNCTIONS = {
    "plain": _printed(
        '''
        def plain(value):
            """A value as JSON has it: dates as texts, decimals as numbers, objects by their key."""
            if isinstance(value, Decimal):
                return int(value) if value == value.to_integral_value() else float(value)
            if hasattr(value, "isoformat"):
                return value.isoformat()
            if value is None or isinstance(value, (bool, int, float, str)):
                return value
            if isinstance(value, dict):
                return {str(key): plain(one) for key, one in value.items()}
            if isinstance(value, (list, tuple, set)):
                return [plain(one) for one in value]
            return value.pk if hasattr(value, "pk") else str(value)
        ''',
        ("decimal", "Decimal"),
    ),
    "number": _printed(
        '''
        def number(value):
            """A value as a number; raises TypeError or ValueError for what is none."""
            value = plain(value)
            if isinstance(value, str):
                return float(value) if value else 0
            if value is None or isinstance(value, (list, dict)):
                raise TypeError("an empty field is no number")
            return value + 0
        ''',
        functions=("plain",),
    ),
    "same": _printed(
        '''
        def same(left, right):
            """JSONLogic's ==: null equals 0, "" and false, a text the number or the truth that it says."""
            left, right = plain(left), plain(right)
            if left is None or right is None:
                other = right if left is None else left
                return other is None or (not isinstance(other, (list, dict)) and other in (0, ""))
            if isinstance(left, str) == isinstance(right, str):
                return left == right
            for truth, text in ((left, right), (right, left)):
                if isinstance(truth, bool):
                    return str(truth).lower() == text
            return number(left) == number(right)
        ''',
        functions=("plain", "number"),
    ),
    "identical": _printed(
        '''
        def identical(left, right):
            """JSONLogic's ===: equal, and of one type."""
            left, right = plain(left), plain(right)
            kinds = [str if isinstance(one, str) else bool if isinstance(one, bool) else None for one in (left, right)]
            return kinds[0] is kinds[1] and left == right
        ''',
        functions=("plain",),
    ),
    "ordered": _printed(
        '''
        def ordered(compare, left, right):
            """JSONLogic's ordering: never true of null."""
            left, right = plain(left), plain(right)
            if left is None or right is None:
                return False
            if isinstance(left, str) and isinstance(right, str):
                return compare(left, right)
            return compare(number(left), number(right))
        ''',
        functions=("plain", "number"),
    ),
    "every": _printed(
        '''
        def every(rows, test):
            """Whether the test holds for all rows; false where there are none."""
            rows = list(rows or ())
            return bool(rows) and all(map(test, rows))
        '''
    ),
    "read": _printed(
        '''
        def read(value, *steps):
            """What lies below a value, item by item or attribute by attribute; None where there is nothing."""
            for step in steps:
                if isinstance(value, dict):
                    value = value.get(step)
                elif isinstance(value, (list, tuple)):
                    value = value[int(step)] if step.isdecimal() and int(step) < len(value) else None
                else:
                    value = getattr(value, step, None)
            return value
        '''
    ),
    "text": _printed(
        '''
        def text(value):
            """A value as text; null is empty."""
            value = plain(value)
            if value is None:
                return ""
            if isinstance(value, bool):
                return str(value).lower()
            return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
        ''',
        functions=("plain",),
    ),
    "one_line": _printed(
        '''
        def one_line(text):
            """A text without line breaks, as a subject must be."""
            return " ".join(text.split())
        '''
    ),
    "substr": _printed(
        '''
        def substr(value, start, length=None):
            """JSONLogic's substr: a negative start counts from the end, a negative length leaves out the end."""
            rest = value[start:] if start >= 0 else value[max(len(value) + start, 0) :]
            return rest if length is None else rest[:length]
        '''
    ),
    "merge": _printed(
        '''
        def merge(*parts):
            """One list of lists and values; null is left out."""
            lists = [part if isinstance(part, list) else [part] for part in parts]
            return [one for values in lists for one in values if one is not None]
        '''
    ),
    "not_in_python": _printed(
        '''
        def not_in_python(logic):
            """Stands for JSONLogic that is not translated: write it in Python before you use this module."""
            raise NotImplementedError(logic)
        '''
    ),
    "render": _printed(
        '''
        def render(source, autoescape=False, **names):
            """A text by Django's template language."""
            return Template(source).render(Context(names, autoescape=autoescape, use_l10n=False))
        ''',
        ("django.template", "Context"),
        ("django.template", "Template"),
    ),
    "current_user": _printed(
        '''
        def current_user():
            """Who is acting. Django's signals do not say it: return here what a middleware of yours keeps."""
            return None
        '''
    ),
    "current_request": _printed(
        '''
        def current_request():
            """The request in which this happens. Django's signals do not say it; see current_user."""
            return None
        '''
    ),
    "what_happened": _printed(
        '''
        def what_happened(context):
            """What happened as one line, in the engine's words."""
            return actions.render("{{ what_happened }}", plain(context))
        ''',
        ("rules_engine", "actions"),
        functions=("plain",),
    ),
    "admin_url": _printed(
        '''
        def admin_url(event):
            """The address of the object's page in the admin, if the engine's SITE_URL is set."""
            return actions.render("{{ admin_url }}", plain({"event": event}))
        ''',
        ("rules_engine", "actions"),
        functions=("plain",),
    ),
    "changes_of": _printed(
        '''
        def changes_of(instance, old, names, update_fields=None):
            """What a save changes: {field: {"old": …, "new": …}}. All that is not empty in a new object."""
            found = {}
            for name in names:
                field = instance._meta.get_field(name)
                if update_fields is not None and not {field.name, field.attname} & set(update_fields):
                    continue
                before = old[field.attname] if old else None
                now = field.to_python(getattr(instance, field.attname))
                now = str(now) if hasattr(now, "storage") else now
                if (now != before) if old else (now not in (None, "")):
                    found[field.name] = {"old": before, "new": now}
            return found
        '''
    ),
    "set_values": _printed(
        '''
        def set_values(row, **values):
            """Set the fields that have other values, unsaved. Returns their names."""
            names = []
            for name, value in values.items():
                field = row._meta.get_field(name)
                if value == "" and not field.empty_strings_allowed:
                    value = None
                value = field.to_python(value)
                if getattr(row, field.attname) != value:
                    setattr(row, field.attname, value)
                    names.append(name)
            return names
        '''
    ),
    "delete_unused": _printed(
        '''
        def delete_unused(model, field, name):
            """Delete a file that no row of this field uses. The rule asks every other file field of the site, too."""
            if name and not model._base_manager.filter(**{field: name}).exists():
                model._meta.get_field(field).storage.delete(name)
        '''
    ),
}
