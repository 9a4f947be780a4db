"""The demo project's settings. With no environment at all: SQLite, filesystem broker, file cache, under ``var/``.

| variable              | what it sets                                              | default                          |
|-----------------------|-----------------------------------------------------------|----------------------------------|
| DEMO_VAR              | the folder for everything the demo writes                 | var/ beside manage.py            |
| DEMO_DEBUG            | 1: Django's debug pages and static files                  | 0; ``manage.py demo`` needs none |
| DEMO_SECURE           | 1: HTTPS only, with secure cookies and HSTS               | 0                                |
| DEMO_HOSTS            | host names served, with commas                            | localhost, 127.0.0.1, [::1]      |
| SECRET_KEY            | Django's secret key                                       | made once, kept in var/          |
| DATABASE_URL          | the database, such as postgres://user@localhost/rules     | SQLite, var/demo.sqlite3         |
| TEST_DATABASE_NAME    | the database that tests make, so that two runs do not meet | Django's choice                 |
| CELERY_BROKER_URL     | the broker; else AMQP_URL, else REDIS_URL                 | filesystem, var/broker           |
| REDIS_URL             | the cache, and the broker if nothing else names one       | file cache, var/cache            |
| EMAIL_HOST            | the mail server                                           | localhost                        |
| EMAIL_PORT            | its port                                                  | 1025                             |
| WEBHOOK_ALLOWED_PORTS | ports that webhooks may go to, with commas                | 80, 443, 8001                    |
| LOG_LEVEL             | the least serious log line shown                          | INFO                             |
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import dj_database_url
import django
from django.core.management.utils import get_random_secret_key

BASE_DIR = Path(__file__).resolve().parent.parent
VAR = Path(os.environ.get("DEMO_VAR") or BASE_DIR / "var").resolve()


def _is_on(name: str, default: str = "0") -> bool:
    return os.environ.get(name, default).lower() in {"1", "true", "yes", "on"}


def _listed(name: str, default: str) -> list[str]:
    return [part.strip() for part in os.environ.get(name, default).split(",") if part.strip()]


def _folder(name: str) -> Path:
    folder = VAR / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _secret_key() -> str:
    """The same in every process of this checkout; two that start together agree on the file that was linked first."""
    if from_environment := os.environ.get("SECRET_KEY"):
        return from_environment
    kept = _folder(".") / "secret-key"
    if not kept.exists():
        draft = kept.with_name(f"secret-key.{os.getpid()}")
        draft.write_text(get_random_secret_key(), encoding="utf-8")
        draft.chmod(0o600)
        try:
            os.link(draft, kept)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return kept.read_text(encoding="utf-8")


def _database() -> dict[str, Any]:
    """PostgreSQL when DATABASE_URL says so; else SQLite, in WAL mode and with IMMEDIATE transactions."""
    url = os.environ.get("DATABASE_URL") or f"sqlite:///{(_folder('.') / 'demo.sqlite3').as_posix()}"
    config: dict[str, Any] = {
        **dj_database_url.parse(url, conn_max_age=60, conn_health_checks=True),
        "ATOMIC_REQUESTS": True,
    }
    if config["ENGINE"].endswith("sqlite3"):
        config["OPTIONS"] = {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        }
    if name := os.environ.get("TEST_DATABASE_NAME"):
        config["TEST"] = {"NAME": name}
    return config


# Security
SECRET_KEY = _secret_key()
DEBUG = _is_on("DEMO_DEBUG")
SECURE = _is_on("DEMO_SECURE")
ALLOWED_HOSTS = _listed("DEMO_HOSTS", "localhost,127.0.0.1,[::1]")
SECURE_SSL_REDIRECT = SECURE
SESSION_COOKIE_SECURE = SECURE
CSRF_COOKIE_SECURE = SECURE
SECURE_HSTS_SECONDS = 31_536_000 if SECURE else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE
SECURE_HSTS_PRELOAD = SECURE

# Apps
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_jsonform",
    "rules_engine",
    "webhooks",
    "project.accounts",
    "project.clinic",
    "project.shop",
    "project.demo",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "project.security.ContentSecurityPolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "rules_engine.middleware.ActorMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "project.urls"
WSGI_APPLICATION = "project.wsgi.application"
ASGI_APPLICATION = "project.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
AUTH_USER_MODEL = "accounts.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Data
DATABASES = {"default": _database()}
REDIS_URL = os.environ.get("REDIS_URL", "")
# The web process and the worker look at the same cache, so it cannot be one in memory.
CACHES: dict[str, dict[str, Any]] = {
    "default": (
        {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}
        if REDIS_URL
        else {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": str(_folder("cache"))}
    )
}
FIXTURE_DIRS = [BASE_DIR / "fixtures"]
MEDIA_ROOT = str(VAR / "media")
MEDIA_URL = "/media/"
STATIC_URL = "/static/"
STATIC_ROOT = str(VAR / "static")

# Language and time
LANGUAGE_CODE = "en"
USE_I18N = True
TIME_ZONE = "UTC"
USE_TZ = True

# Mail
_mail = {
    "host": os.environ.get("EMAIL_HOST", "localhost"),
    "port": int(os.environ.get("EMAIL_PORT", "1025")),
    "timeout": 10,
}
if django.VERSION >= (6, 1):
    MAILERS = {"default": {"BACKEND": "django.core.mail.backends.smtp.EmailBackend", "OPTIONS": _mail}}
else:
    EMAIL_HOST, EMAIL_PORT, EMAIL_TIMEOUT = _mail["host"], _mail["port"], _mail["timeout"]
DEFAULT_FROM_EMAIL = "demo@example.com"
SERVER_EMAIL = DEFAULT_FROM_EMAIL
# Until Django 6.0 each is a name and an address.
ADMINS: list[Any] = ["admin@example.com"] if django.VERSION >= (6, 0) else [("Admin", "admin@example.com")]
MANAGERS: list[Any] = ADMINS

# Celery
CELERY_BROKER_URL = (
    os.environ.get("CELERY_BROKER_URL") or os.environ.get("AMQP_URL") or REDIS_URL or "filesystem://localhost"
)
if CELERY_BROKER_URL.startswith("filesystem:"):
    # Remote control would leave a queue of files behind for each worker that was killed.
    CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(_folder("broker/messages")),
        "data_folder_out": str(_folder("broker/messages")),
        "control_folder": str(_folder("broker/control")),
        "polling_interval": 0.05,
    }
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = TIME_ZONE

# Rules and webhooks
RULES_ENGINE: dict[str, Any] = {
    "SIGNALS": {
        "accounts.cv_checked": {
            "signal": "project.accounts.signals.cv_checked",
            "label": "A CV was checked",
            "arguments": {
                "instance": "The user",
                "is_accepted": "true or false",
                "checked_by": "Who looked at it, as text",
                "remarks": "What to do better, as text; may be empty",
            },
        }
    },
    "TASKS": {"project.shop.tasks.request_fulfilment": "Ask for an order to be packed"},
}
WEBHOOKS: dict[str, Any] = {
    # The demo's receiver listens on this machine, without TLS; a real site leaves these three alone.
    "ALLOW_HTTP": True,
    "ALLOWED_NETWORKS": ["127.0.0.0/8"],
    "ALLOWED_PORTS": [int(port) for port in _listed("WEBHOOK_ALLOWED_PORTS", "80,443,8001")],
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname:<7} {name}: {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    # Rules mail the administrators; Django's own handler would do it within the request that failed.
    "loggers": {"django": {"handlers": []}},
    "root": {"handlers": ["console"], "level": os.environ.get("LOG_LEVEL", "INFO").upper()},
}
