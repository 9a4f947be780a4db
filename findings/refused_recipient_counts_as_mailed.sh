#!/usr/bin/env bash
# A message to two people of whom the server refuses one counts as sent, and nobody is told: smtplib raises only where
# all were refused, and answers else with the refused ones, which the mail backend of Django drops.
# Seen with Django 5.2.17 and aiosmtpd 1.4.6.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "Django==5.2.17" "aiosmtpd==1.4.6"
cat > "$folder/look.py" <<'PYTHON'
import socket

from aiosmtpd.controller import Controller
from django.conf import settings

settings.configure()
from django.core.mail import get_connection, send_mail

mailed = []


class Server:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("gone"):
            return "550 There is nobody of that name"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        mailed.extend(envelope.rcpt_tos)
        return "250 OK"


with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
controller = Controller(Server(), hostname="127.0.0.1", port=port)
controller.start()
backend = get_connection("django.core.mail.backends.smtp.EmailBackend", host="127.0.0.1", port=port)
both = ["here@shop.example", "gone@shop.example"]
print("counted as sent:", send_mail("s", "b", "a@shop.example", both, connection=backend))
print("mailed:", *mailed)
controller.stop()
PYTHON
seen=$(cd "$folder" && venv/bin/python look.py)
expected='counted as sent: 1
mailed: here@shop.example'
printf '%s\n' "$seen"
[ "$seen" = "$expected" ] || { printf 'This has changed. It was:\n%s\n' "$expected" >&2; exit 1; }
