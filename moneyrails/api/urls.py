"""Routes of the money rails."""

from django.urls import path

from moneyrails.api.approvals import ApprovalDetail, ApprovalList, Approve, Reject, Withdraw
from moneyrails.api.chargebacks import AdjustChargeback, ChargebackExposure
from moneyrails.api.connect import ConnectAccount, ConnectAccounts, SyncConnectAccounts
from moneyrails.api.events import IngestEvent
from moneyrails.api.kill_switch import Lift, Stop
from moneyrails.api.operations import CancelOperation, OperationDetail, OperationList, SubmitOperation
from moneyrails.api.payouts import EnqueuePayout
from moneyrails.api.simulate import Simulate
from moneyrails.api.unknown_outcomes import (
    AskProvider,
    ReplayDispatch,
    SettleDispatch,
    UnknownOutcomeDetail,
    UnknownOutcomeList,
)

_CONNECT = "ops/finance/money-rails/stripe-connect/accounts"
_OPERATIONS = "ops/money-rails/<str:provider_id>/operations"
_UNKNOWN = "ops/money-rails/unknown-outcomes"

urlpatterns = [
    path(_CONNECT, ConnectAccounts.as_view()),
    path(f"{_CONNECT}/sync", SyncConnectAccounts.as_view()),
    path(f"{_CONNECT}/<path:account_id>", ConnectAccount.as_view()),  # so that a bad id is told as one
    path("ops/finance/money-rails/chargebacks", ChargebackExposure.as_view()),
    path("ops/finance/money-rails/chargebacks/adjustments", AdjustChargeback.as_view()),
    path("ops/payouts/<path:party_id>/<str:period>/enqueue", EnqueuePayout.as_view()),
    path("ops/approvals", ApprovalList.as_view()),
    path("ops/approvals/<str:approval_id>", ApprovalDetail.as_view()),
    path("ops/approvals/<str:approval_id>/approve", Approve.as_view()),
    path("ops/approvals/<str:approval_id>/reject", Reject.as_view()),
    path("ops/approvals/<str:approval_id>/withdraw", Withdraw.as_view()),
    path("ops/money-rails/kill-switch", Stop.as_view()),
    path("ops/money-rails/kill-switch/lift", Lift.as_view()),
    path("ops/money-rails/simulate", Simulate.as_view()),
    path(_UNKNOWN, UnknownOutcomeList.as_view()),
    path(f"{_UNKNOWN}/<uuid:attempt_id>", UnknownOutcomeDetail.as_view()),
    path(f"{_UNKNOWN}/<uuid:attempt_id>/ask", AskProvider.as_view()),
    path(f"{_UNKNOWN}/<uuid:attempt_id>/replay", ReplayDispatch.as_view()),
    path(f"{_UNKNOWN}/<uuid:attempt_id>/settle", SettleDispatch.as_view()),
    path("ops/money-rails/<str:provider_id>/events/ingest", IngestEvent.as_view()),
    path(_OPERATIONS, OperationList.as_view()),
    path(f"{_OPERATIONS}/<path:operation_id>/submit", SubmitOperation.as_view()),
    path(f"{_OPERATIONS}/<path:operation_id>/cancel", CancelOperation.as_view()),
    path(f"{_OPERATIONS}/<path:operation_id>", OperationDetail.as_view()),  # an id may hold a slash
]
