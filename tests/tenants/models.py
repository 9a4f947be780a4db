"""The tenants."""

from __future__ import annotations

from django.db import models
from django_tenants.models import DomainMixin, TenantMixin


class Client(TenantMixin):
    name = models.CharField(max_length=50, blank=True)
    #: Where a test says that tenants are of several types.
    kind = models.CharField(max_length=50, default="shop")
    # Tests make the one table that a tenant has.
    auto_create_schema = False


class Domain(DomainMixin):
    pass
