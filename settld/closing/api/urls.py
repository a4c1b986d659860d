"""Closing routes."""

from django.urls import path

from settld.closing.api.month_close import MonthCloseView, MonthReopen
from settld.closing.api.statements import StatementDetail, StatementList

urlpatterns = [
    path("ops/month-close", MonthCloseView.as_view()),
    path("ops/month-close/reopen", MonthReopen.as_view()),
    path("ops/party-statements", StatementList.as_view()),
    path("ops/party-statements/<str:party_id>/<str:period>", StatementDetail.as_view()),
]
