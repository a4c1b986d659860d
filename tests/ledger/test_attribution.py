"""Whose a posting is: spec/settld-billing-and-finance.md 5.1, Allocations."""

import pytest

from settld.ledger.attribution import party_of, role_of


@pytest.mark.parametrize(
    ("account", "role"),
    [
        ("acct_customer_escrow", "customer"),
        ("acct_customer_credits_payable", "customer"),
        ("acct_customer_insurer_x", "customer"),  # the first rule that fits decides
        ("acct_insurer_pool", "insurer"),
        ("acct_coverage_reserve", "insurer"),
        ("acct_developer_royalty_payable", "subcontractor"),
        ("acct_developer_operator_x", "subcontractor"),
        ("acct_operator_payable", "operator"),
        ("acct_owner_payable", "operator"),
        ("acct_payout_clearing", "operator"),
        ("acct_cash", "platform"),
        ("acct_platform_revenue", "platform"),
        ("acct_insurance_reserve", "platform"),
        ("acct_claims_expense", "platform"),
        ("acct_chargeback_recovery", "platform"),
    ],
)
def test_the_account_s_name_decides_the_role(account, role):
    assert role_of(account) == role


@pytest.mark.parametrize(
    ("account", "party"),
    [
        ("acct_cash", ("pty_platform", "platform")),
        ("acct_operator_payable", ("pty_operator:agt_payee", "operator")),
        ("acct_payout_clearing", ("pty_operator:agt_payee", "operator")),
        ("acct_customer_escrow", ("pty_customer:agt_payer", "customer")),
        ("acct_coverage_reserve", ("pty_insurer", "insurer")),
        ("acct_developer_royalty_payable", ("pty_subcontractor", "subcontractor")),
    ],
)
def test_the_party_carries_the_agent_where_it_is_known(account, party):
    assert party_of(account, payee_agent_id="agt_payee", payer_agent_id="agt_payer") == party
    assert party_of(account) == (party[0].split(":")[0], party[1])
