"""The demo's two addresses."""

from __future__ import annotations

from django.urls import path

from project.demo import views

app_name = "demo"
urlpatterns = [
    path("", views.page, name="page"),
    path("arrivals.json", views.news, name="news"),
]
