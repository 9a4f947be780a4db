"""The tests' settings with the packages of the group ``interop``; their tables are made without their migrations.

On PostgreSQL alone, which some of the packages are for. What would change every other test stays switched off until a
test of its own switches it on: the ORM cache.
"""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured

from tests import services
from tests.settings import *  # noqa: F403
from tests.settings import DATABASES, INSTALLED_APPS, RULES_ENGINE

if not DATABASES["default"]["ENGINE"].endswith("postgresql"):
    raise ImproperlyConfigured("The tests beside other packages need PostgreSQL; DATABASE_URL may say where it is.")

_packages = [
    "modeltranslation",
    "anymail",
    "auditlog",
    "cacheops",
    "debug_toolbar",
    "django.contrib.postgres",
    "django_tasks_db",
    "djcelery_email",
    "djmoney",
    "import_export",
    "mailer",
    "modelcluster",
    "pgcrypto",
    "pghistory",
    "pgtrigger",
    "phonenumber_field",
    "post_office",
    "simple_history",
    "taggit",
    "timezone_field",
    "treebeard",
    "wagtail",
    "wagtail.admin",
    "wagtail.documents",
    "wagtail.images",
    "wagtail.users",
    "zeal",
]
# First, as modeltranslation asks.
INSTALLED_APPS = [*_packages, *INSTALLED_APPS, "tests.interop"]
DATABASES["default"]["TEST"]["MIGRATE"] = False
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
MODELTRANSLATION_DEFAULT_LANGUAGE = "en"
PGTRIGGER_INSTALL_ON_MIGRATE = PGHISTORY_INSTALL_CONTEXT_FUNC_ON_MIGRATE = True
PGCRYPTO_KEY = "no secret"
PHONENUMBER_DEFAULT_REGION = "DE"
WAGTAIL_SITE_NAME = "Interop"
WAGTAILADMIN_BASE_URL = "http://localhost"
POST_OFFICE = {"BACKENDS": {"default": "django.core.mail.backends.locmem.EmailBackend"}}
MAILER_EMAIL_BACKEND = CELERY_EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
# It refuses to stand beside tests, where nobody sees it.
DEBUG_TOOLBAR_CONFIG = {"IS_RUNNING_TESTS": False}
ZEAL_RAISE = True
CACHEOPS_ENABLED = False
CACHEOPS_REDIS = services.redis_url() or "redis://127.0.0.1:6379/0"
CACHEOPS = {"*.*": {"ops": "all", "timeout": 60}}
# Decrypted by the database, and hidden unless somebody says this: what is told of it is compared with what is stored.
RULES_ENGINE = {**RULES_ENGINE, "SENSITIVE_EXCEPTIONS": ["interop.packaged.sealed"]}
