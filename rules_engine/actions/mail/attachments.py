"""Files of the event's object, or of its related rows, for a mail: which ones a rule names, and what is in them."""

from __future__ import annotations

import mimetypes
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import SuspiciousFileOperation
from django.db import models
from django.utils.translation import gettext

from rules_engine import conf
from rules_engine.actions.files import stored_files
from rules_engine.actions.files.stored_files import FileField
from rules_engine.context.paths import ModelClass, find_model, resolve, steps
from rules_engine.errors import PermanentError, Problem, Refused, TransientError, UnknownPath, did_you_mean
from rules_engine.types import EVERY_FIELD, ActionContext, Path, RuleSpec

MOST_FILES = 50
LONGEST_NAME = 120
UNKNOWN_TYPE = "application/octet-stream"
#: Unicode's kinds of characters that a file's name has no use for: controls, direction marks, halves, line ends.
INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


@dataclass(frozen=True, slots=True)
class Attachment:
    """One file, ready to be attached."""

    name: str
    content: bytes
    content_type: str


def problems(config: Mapping[str, Any], rule: RuleSpec) -> Iterator[Problem]:
    """Say what is wrong with ``attachments``: each should be the path of a file field below ``instance``."""
    written = config.get("attachments")
    if written is not None and not isinstance(written, list):
        yield Problem(
            "/attachments",
            gettext("Expected a list of file fields, such as instance.image, and got %(written)s.")
            % {"written": repr(written)},
        )
        return
    for index, path in enumerate(written or ()):
        if trouble := _problem(path, rule):
            yield Problem(f"/attachments/{index}", trouble)


def _problem(path: Any, rule: RuleSpec) -> str | None:
    if not isinstance(path, str) or not path.strip():
        return gettext("Expected the path of a file field, such as instance.image, and got %(path)s.") % {
            "path": repr(path)
        }
    if not rule.model:
        return gettext("This rule listens to no model, so there are no files to attach.")
    model = find_model(rule.model)
    if model is None:
        return None
    root, *rest = _steps(path)
    known = _known(model)
    if root != "instance" or not rest:
        return gettext('"%(path)s" is no file field.%(hint)s A path begins with "instance".') % {
            "path": path,
            "hint": did_you_mean(f"instance.{path}", known),
        }
    try:
        field = resolve(model, tuple(rest)).field
    except UnknownPath as error:
        return str(error)
    if not isinstance(field, models.FileField):
        return gettext('"%(path)s" is no file field. The nearest are: %(known)s.') % {
            "path": path,
            "known": ", ".join(known) or gettext("none"),
        }
    return None


def _steps(path: str) -> Path:
    return tuple(path.strip().split("."))


def _known(model: ModelClass) -> list[str]:
    """Return the paths of the model's file fields, and of those one relation away."""
    paths = [f"instance.{name}" for name in _file_fields(model)]
    for step in steps(model).values():
        if step.model is not None:
            paths += [f"instance.{step.name}.{name}" for name in _file_fields(step.model)]
    return paths


def _file_fields(model: ModelClass) -> list[str]:
    return [name for name, step in steps(model).items() if name != "pk" and isinstance(step.field, models.FileField)]


def reads(config: Mapping[str, Any], rule: RuleSpec) -> Iterator[Path]:
    """Return the paths of the files' names. Of related rows whole columns are kept, as others that read them expect."""
    model = find_model(rule.model) if rule.model else None
    for path in map(_steps, _paths(config)):
        if model is None or _problem(".".join(path), rule):
            continue
        yield path
        for end in range(2, len(path)):
            if resolve(model, path[1:end]).kind == "to_many":
                yield (*path[:end], EVERY_FIELD)


def _paths(config: Mapping[str, Any]) -> list[str]:
    written = config.get("attachments")
    return [path for path in written if isinstance(path, str)] if isinstance(written, list) else []


def load(context: ActionContext, config: Mapping[str, Any]) -> list[Attachment]:
    """Read the files, in order, each once; an empty field has none.

    Raises ``PermanentError`` for a file that is gone or too much, ``Refused`` for a name that leads out of its storage,
    ``TransientError`` for a storage that cannot be read.
    """
    files = _files(context, config)
    if len(files) > MOST_FILES:
        raise PermanentError(
            gettext("%(count)s files are to be attached, and a mail takes %(most)s.")
            % {"count": len(files), "most": MOST_FILES}
        )
    attachments: list[Attachment] = []
    room = conf.email_attachment_bytes()
    for path, field, name in files:
        content = _content(path, field, name, room)
        room -= len(content)
        shown = clean_name(name)
        attachments.append(Attachment(shown, content, content_type(shown)))
    return attachments


def _files(context: ActionContext, config: Mapping[str, Any]) -> list[tuple[str, FileField, str]]:
    model = find_model(context.event.model)
    paths: dict[tuple[FileField, str], str] = {}
    for path in _paths(config):
        rest = _steps(path)[1:]
        for name in _names(context.data.get("instance"), rest):
            if name is None:
                raise PermanentError(
                    gettext("The event was recorded without the value of %(path)s, so its file is not known.")
                    % {"path": path}
                )
            if name:
                paths.setdefault((_field(model, rest, path), str(name)), path)
    return [(path, field, name) for (field, name), path in paths.items()]


def _field(model: ModelClass | None, path: Path, written: str) -> FileField:
    try:
        field = resolve(model, path).field if model is not None else None
    except UnknownPath as error:
        raise PermanentError(str(error)) from error
    if not isinstance(field, models.FileField):
        raise PermanentError(gettext('"%(path)s" is no file field any more.') % {"path": written})
    return field


def _names(here: Any, path: Path) -> Iterator[Any]:
    """Return the values at the end of the path, those of all rows on the way; what is reached through null is none."""
    if isinstance(here, list):
        for row in here:
            yield from _names(row, path)
    elif isinstance(here, Mapping) and path:
        value = here.get(path[0])
        yield from [value] if len(path) == 1 else _names(value, path[1:])


def _content(path: str, field: FileField, name: str, room: int) -> bytes:
    stored_files.permit(name)
    try:
        with field.storage.open(name, "rb") as file:
            content = bytes(file.read(room + 1))
    except SuspiciousFileOperation as error:
        raise Refused(gettext("The storage does not take the name %(name)s.") % {"name": repr(name)}) from error
    except (FileNotFoundError, IsADirectoryError) as error:
        message = gettext(
            "The file %(name)s of %(path)s is not in its storage any more; nobody was mailed without it."
        ) % {"name": repr(name), "path": path}
        raise PermanentError(message) from error
    except OSError as error:
        raise TransientError(
            gettext("The file %(name)s of %(path)s could not be read: %(error)s")
            % {"name": repr(name), "path": path, "error": error}
        ) from error
    if len(content) > room:
        most = conf.email_attachment_bytes()
        raise PermanentError(
            gettext('The attachments come to more than %(most)s bytes, RULES_ENGINE["EMAIL_ATTACHMENT_BYTES"].')
            % {"most": f"{most:,}"}
        )
    return content


def clean_name(name: str) -> str:
    """Clean a file's name, as a recipient sees it: its last part, without quotes and characters that nobody sees."""
    last = name.replace("\\", "/").rpartition("/")[2]
    seen = "".join(
        character
        for character in last
        if unicodedata.category(character) not in INVISIBLE and character not in "\"';:<>|*?%"
    )
    stem, dot, ending = seen.strip(" .").rpartition(".")
    shortened = stem[: LONGEST_NAME - len(ending) - 1] + dot + ending if stem and len(ending) < 20 else seen.strip(" .")
    return shortened[:LONGEST_NAME] or "attachment"


def content_type(name: str) -> str:
    """Return the MIME type by the name's ending. A message or a multipart is bytes: it would be parsed for its own
    headers."""
    guessed, encoding = mimetypes.guess_type(name)
    nested = guessed is not None and guessed.startswith(("message/", "multipart/"))
    return UNKNOWN_TYPE if guessed is None or encoding or nested else guessed
