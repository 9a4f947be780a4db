"""A site with django-tenants: rules and their authors in the shared schema, orders in each tenant's."""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured

from tests.settings import *  # noqa: F403
from tests.settings import DATABASES, RULES_ENGINE

if not DATABASES["default"]["ENGINE"].endswith("postgresql"):
    raise ImproperlyConfigured("The tests beside django-tenants need PostgreSQL; DATABASE_URL may say where it is.")

_tables = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.admin",
    "django_jsonform",
    "rules_engine",
    "webhooks",
]
SHARED_APPS = ["django_tenants", "tests.tenants", *_tables]
TENANT_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "tests.tenants.orders"]
INSTALLED_APPS = list(dict.fromkeys([*SHARED_APPS, *TENANT_APPS]))
TENANT_MODEL, TENANT_DOMAIN_MODEL = "tenants.Client", "tenants.Domain"
DATABASES["default"]["ENGINE"] = "django_tenants.postgresql_backend"
DATABASES["default"]["TEST"]["MIGRATE"] = False
DATABASE_ROUTERS = ["django_tenants.routers.TenantSyncRouter"]
AUTH_USER_MODEL = "auth.User"
ROOT_URLCONF = "tests.tenants.urls"
MIDDLEWARE = [
    "django_tenants.middleware.main.TenantMainMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "rules_engine.middleware.ActorMiddleware",
]
ALLOWED_HOSTS = ["*"]
_pair = {
    "present": "rules_engine.surroundings.tenants.present",
    "enter": "rules_engine.surroundings.tenants.enter",
}
RULES_ENGINE = {**RULES_ENGINE, "HINTS": False, "SURROUNDINGS": {**_pair, "home": "public"}}
