#!/usr/bin/env bash
# A save that names a translated field alone in update_fields writes the column of a language as well, and the signals do
# not say so: update_fields has the field that was named. Who compares by update_fields misses a change of that column.
# Seen with Django 5.2.17 and django-modeltranslation 0.20.6 on SQLite.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "Django==5.2.17" "django-modeltranslation==0.20.6"
mkdir "$folder/library"
touch "$folder/library/__init__.py"
cat > "$folder/library/models.py" <<'PYTHON'
from django.db import models

class Book(models.Model):
    title = models.CharField(max_length=50)
PYTHON
cat > "$folder/library/translation.py" <<'PYTHON'
from modeltranslation.translator import TranslationOptions, translator

from library.models import Book

class BookOptions(TranslationOptions):
    fields = ("title",)

translator.register(Book, BookOptions)
PYTHON
cat > "$folder/look.py" <<'PYTHON'
import django
from django.conf import settings

settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    INSTALLED_APPS=["modeltranslation", "library"],
    LANGUAGES=[("en", "English"), ("de", "German")],
    LANGUAGE_CODE="en",
    USE_I18N=True,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
)
django.setup()
from django.db import connection
from django.db.models.signals import post_save
from library.models import Book

with connection.schema_editor() as editor:
    editor.create_model(Book)
book = Book.objects.create(title="one")
post_save.connect(lambda update_fields, **_: print("told:", *update_fields), weak=False)
book.title = "two"
book.save(update_fields=["title"])
with connection.cursor() as cursor:
    cursor.execute("SELECT title, title_en FROM library_book")
    print("stored:", *cursor.fetchone())
PYTHON
seen=$(cd "$folder" && venv/bin/python look.py)
expected='told: title
stored: two two'
printf '%s\n' "$seen"
[ "$seen" = "$expected" ] || { printf 'This has changed. It was:\n%s\n' "$expected" >&2; exit 1; }
