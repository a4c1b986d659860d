"""Routes of the money rails."""

from django.urls import path

from moneyrails.api.events import IngestEvent
from moneyrails.api.operations import CancelOperation, OperationDetail, OperationList, SubmitOperation
from moneyrails.api.payouts import EnqueuePayout

_OPERATIONS = "ops/money-rails/<str:provider_id>/operations"

urlpatterns = [
    path("ops/payouts/<path:party_id>/<str:period>/enqueue", EnqueuePayout.as_view()),
    path("ops/money-rails/<str:provider_id>/events/ingest", IngestEvent.as_view()),
    path(_OPERATIONS, OperationList.as_view()),
    path(f"{_OPERATIONS}/<path:operation_id>/submit", SubmitOperation.as_view()),
    path(f"{_OPERATIONS}/<path:operation_id>/cancel", CancelOperation.as_view()),
    path(f"{_OPERATIONS}/<path:operation_id>", OperationDetail.as_view()),  # an id may hold a slash
]
