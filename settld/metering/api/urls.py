"""Metering routes."""

from django.urls import path

from settld.metering.api.views import BillableEvents

urlpatterns = [path("ops/finance/billable-events", BillableEvents.as_view())]
