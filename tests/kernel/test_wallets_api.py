"""GET /agents/{agentId}/wallet, POST /agents/{agentId}/wallet/credit (kernel spec 4)."""

import pytest

from settld.core import tenancy
from settld.core.hashing import canonical_hash
from settld.kernel.models import FundingReceipt, Wallet
from settld.kernel.queries import checks
from settld.ledger import queries as ledger
from settld.ledger.models import JournalEntry
from tests.kernel.work import PAYER, TENANT, an_agent
from tests.support.api import body, refusal

PATH = f"/agents/{PAYER}/wallet"


@pytest.fixture
def agent(db):
    return an_agent(PAYER)


def credit(api, key=None, **given):
    return api.post(f"{PATH}/credit", {"amountCents": 500} | given, key=key)


def stored():
    with tenancy.tenant_scope(TENANT):
        return Wallet.objects.count(), FundingReceipt.objects.count(), JournalEntry.objects.count()


def test_an_agent_without_money_has_zeros_and_nothing_stored(api, agent):
    shown = body(api.get(PATH))["wallet"]

    assert shown == {
        "schemaVersion": "AgentWallet.v1", "walletId": f"wallet_{PAYER}", "tenantId": TENANT,
        "agentId": PAYER, "currency": "USD", "availableCents": 0, "escrowLockedCents": 0,
        "totalDebitedCents": 0, "totalCreditedCents": 0, "revision": 0, "createdAt": None, "updatedAt": None,
    }  # fmt: skip
    assert stored() == (0, 0, 0)


def test_a_credit_shows_in_wallet_receipt_and_both_books(api, agent):
    answer = credit(api, externalRef="bank_1", sourceType="money_rail")

    assert answer.status_code == 201
    wallet, receipt = body(answer)["wallet"], body(answer)["fundingReceipt"]
    assert (wallet["availableCents"], wallet["totalCreditedCents"], wallet["revision"]) == (500, 500, 1)
    assert body(api.get(PATH))["wallet"] == wallet
    proof = {key: value for key, value in receipt.items() if key != "receiptHash"}
    assert receipt["receiptHash"] == canonical_hash(proof)
    assert (receipt["sourceType"], receipt["externalRef"]) == ("money_rail", "bank_1")
    assert receipt["journalEntryId"] == f"fund_{receipt['receiptId']}"
    with tenancy.tenant_scope(TENANT):
        entries = {entry.entry_id: entry.memo for entry in JournalEntry.objects.all()}
        assert checks.wallets_unlike_ledger(tenant_id=TENANT) == []
    assert entries == {
        f"fund_{receipt['receiptId']}": f"fund:{receipt['receiptId']}",
        f"jnl_fund_{receipt['receiptId']}": "job:- FUNDED",
    }


@pytest.mark.parametrize("amount", [0, -1, True, "5", 1.5, None, 2**53])
def test_an_amount_that_is_no_positive_safe_integer_is_refused(api, agent, amount):
    answer = credit(api, amountCents=amount)

    assert (answer.status_code, body(answer)["code"]) == (400, "SCHEMA_INVALID")
    assert body(answer)["error"] == "amountCents must be a positive safe integer"
    assert stored() == (0, 0, 0)


@pytest.mark.parametrize(
    "given",
    [
        {"currency": "u$"}, {"currency": 5}, {"sourceType": "gift"}, {"sourceType": 1},
        {"externalRef": "x" * 501}, {"externalRef": ["a"]},
    ],
)  # fmt: skip
def test_a_bad_body_is_refused(api, agent, given):
    assert refusal(credit(api, **given)) == (400, "SCHEMA_INVALID")


def test_a_wallet_keeps_its_first_currency(api, agent):
    assert credit(api, currency="eur").status_code == 201

    assert refusal(credit(api)) == (409, "WALLET_CURRENCY_MISMATCH")
    assert body(api.get(PATH))["wallet"]["currency"] == "EUR"
    assert stored() == (1, 1, 2)


def test_a_reference_is_credited_once_per_source_whoever_gets_it(api, agent):
    an_agent("agt_other")
    assert credit(api, externalRef="bank_1").status_code == 201

    assert refusal(credit(api, externalRef="bank_1")) == (409, "EXTERNAL_REF_ALREADY_CREDITED")
    other = api.post("/agents/agt_other/wallet/credit", {"amountCents": 1, "externalRef": "bank_1"})
    assert refusal(other) == (409, "EXTERNAL_REF_ALREADY_CREDITED")
    assert credit(api, externalRef="bank_1", sourceType="money_rail").status_code == 201
    assert (
        credit(api).status_code == credit(api).status_code == 201
    )  # without a reference there is no such rule
    assert body(api.get(PATH))["wallet"]["availableCents"] == 2000


def test_the_same_key_credits_once_and_replays(api, agent):
    first, again = credit(api, key="k1"), credit(api, key="k1")

    assert (first.status_code, first.content) == (201, again.content)
    assert refusal(credit(api, key="k1", amountCents=501)) == (409, "IDEMPOTENCY_CONFLICT")
    assert stored() == (1, 1, 2)


def test_a_total_beyond_safe_integers_is_refused(api, agent):
    assert credit(api, amountCents=2**53 - 1).status_code == 201

    assert refusal(credit(api, amountCents=1)) == (409, "WALLET_TOTAL_TOO_LARGE")
    assert body(api.get(PATH))["wallet"]["availableCents"] == 2**53 - 1


@pytest.mark.parametrize("path", ["/agents/agt_nobody/wallet", "/agents/agt_nobody/wallet/credit"])
def test_an_unknown_agent_is_not_found(api, db, path):
    answer = api.post(path, {"amountCents": 1}) if path.endswith("credit") else api.get(path)

    assert (answer.status_code, body(answer)["error"]) == (404, "agent identity not found")


def test_other_tenants_and_readers_cannot_credit(api, agent):
    assert credit(api.as_tenant("tenant_b")).status_code == 404
    assert refusal(credit(api.with_token("tok_read"))) == (403, "FORBIDDEN")
    assert stored() == (0, 0, 0)


def test_the_customer_and_the_platform_are_the_parties_of_a_credit(api, agent):
    credit(api)

    with tenancy.tenant_scope(TENANT):
        from settld.ledger.models import Allocation

        shares = set(Allocation.objects.values_list("account_id", "party_id", "amount_cents"))
        held = ledger.balance(tenant_id=TENANT, account_id="acct_customer_escrow", currency="USD")
    assert shares == {
        ("acct_cash", "pty_platform", 500),
        ("acct_customer_escrow", f"pty_customer:{PAYER}", -500),
    }
    assert held == -500
