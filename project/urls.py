"""The site's addresses: the demo's page, and the admin."""

from __future__ import annotations

from django.conf import settings
from django.conf.urls.static import static
from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

admin.site.site_header = "django-signal-rules demo"
admin.site.site_title = "django-signal-rules demo"

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("project.demo.urls")),
    path("admin/", admin.site.urls),
    *static(settings.MEDIA_URL, document_root=settings.MEDIA_ROOT),
]
