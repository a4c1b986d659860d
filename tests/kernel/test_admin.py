"""The kernel in the admin: every table, for looking only."""

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.utils import lookup_field

from settld.core import tenancy
from settld.core.admin import ReadOnlyAdmin
from settld.kernel.models import Wallet
from tests.kernel import stored
from tests.kernel.made import COMPLETED, NOW, PAYEE, PAYER, TENANT

pytestmark = pytest.mark.django_db


def test_every_table_is_registered_to_be_looked_at():
    for model in apps.get_app_config("kernel").get_models():
        assert isinstance(admin.site.get_model_admin(model), ReadOnlyAdmin), model


def test_every_column_of_every_list_can_be_shown():
    for agent_id in (PAYEE, PAYER):
        stored.agent(agent_id)
    stored.settlement(stored.run(COMPLETED))
    shown = {}
    with tenancy.tenant_scope(TENANT):
        Wallet.objects.create(
            tenant_id=TENANT, wallet_id="wallet_agt_payee", agent_id=PAYEE, available_cents=1234,
            escrow_locked_cents=5, total_credited_cents=1239, created_at=NOW, updated_at=NOW,
        )  # fmt: skip
        for model in apps.get_app_config("kernel").get_models():
            row, page = model.objects.first(), admin.site.get_model_admin(model)
            for column in page.list_display if row else ():
                shown[model.__name__, column] = lookup_field(column, row, page)[2]
    assert shown["Wallet", "available"] == "12.34 USD"
    assert shown["Wallet", "locked"] == "0.05 USD"
    assert shown["Settlement", "amount"] == shown["SettlementReceipt", "amount"] == "10.01 USD"
