"""Closing routes."""

from django.urls import path

from settld.closing.api.finance import AccountMap, FinancePackDownload, GlBatch, GlBatchCsv, MonthClosePolicy
from settld.closing.api.month_close import MonthCloseView, MonthReopen
from settld.closing.api.net_close import NetCloseExecute, NetCloseLook
from settld.closing.api.statements import StatementDetail, StatementList

urlpatterns = [
    path("ops/month-close", MonthCloseView.as_view()),
    path("ops/month-close/reopen", MonthReopen.as_view()),
    path("ops/finance/gl-batch", GlBatch.as_view()),
    path("ops/finance/gl-batch.csv", GlBatchCsv.as_view()),
    path("ops/finance/account-map", AccountMap.as_view()),
    path("ops/finance/finance-pack", FinancePackDownload.as_view()),
    path("ops/finance/month-close-policy", MonthClosePolicy.as_view()),
    path("ops/finance/net-close", NetCloseLook.as_view()),
    path("ops/finance/net-close/execute", NetCloseExecute.as_view()),
    path("ops/party-statements", StatementList.as_view()),
    # A party id is opaque text; a slash in it, sent as %2F, reaches us decoded.
    path("ops/party-statements/<path:party_id>/<str:period>", StatementDetail.as_view()),
]
