#!/usr/bin/env bash
# django-post-office takes a message into its queue and answers that it sent 0: send_mail() is then 0, as it is where a
# server took nothing. Whoever takes 0 for a failure and sends again has every message in the queue several times.
# Seen with Django 5.2.17 and django-post_office 3.12.0 on SQLite; django-mailer 2.3.2, which queues as well, says 1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "Django==5.2.17" "django-post_office==3.12.0" "django-mailer==2.3.2"
cat > "$folder/look.py" <<'PYTHON'
import django
from django.conf import settings

DATABASE = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
TEMPLATES = {"BACKEND": "django.template.backends.django.DjangoTemplates"}
APPS = ["django.contrib.contenttypes", "post_office", "mailer"]
settings.configure(DATABASES={"default": DATABASE}, INSTALLED_APPS=APPS, TEMPLATES=[TEMPLATES])
django.setup()
from django.core.mail import get_connection, send_mail
from django.core.management import call_command
from mailer.models import Message
from post_office.models import Email

call_command("migrate", verbosity=0)
for backend, queue in (("post_office.EmailBackend", Email), ("mailer.backend.DbBackend", Message)):
    count = send_mail("s", "b", "a@shop.example", ["b@shop.example"], connection=get_connection(backend))
    print(f"{backend}: {count} sent, {queue.objects.count()} in the queue")
PYTHON
seen=$(cd "$folder" && venv/bin/python look.py)
expected='post_office.EmailBackend: 0 sent, 1 in the queue
mailer.backend.DbBackend: 1 sent, 1 in the queue'
printf '%s\n' "$seen"
[ "$seen" = "$expected" ] || { printf 'This has changed. It was:\n%s\n' "$expected" >&2; exit 1; }
