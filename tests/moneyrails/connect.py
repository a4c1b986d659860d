"""Helpers of the Connect tests: a Stripe that answers as it is told, and rows as the wire shows them."""

import dataclasses
from typing import Any

import pytest

from tests.support.api import Api, body

BASE = "/ops/finance/money-rails/stripe-connect/accounts"
STRIPE = "stripe_sim"


def account(account_id: str = "acct_a", **changes: Any) -> dict[str, Any]:
    """A verified account as Stripe sends it."""
    return {
        "id": account_id,
        "object": "account",
        "payouts_enabled": True,
        "details_submitted": True,
        "capabilities": {"transfers": "active"},
        "requirements": {
            "currently_due": [],
            "eventually_due": [],
            "past_due": [],
            "pending_verification": [],
            "disabled_reason": None,
            "current_deadline": None,
        },
    } | changes


def asking(account_id: str = "acct_a", *, payouts: bool = True, **requirements: Any) -> dict[str, Any]:
    """An account of which Stripe wants something."""
    found = account(account_id, payouts_enabled=payouts)
    found["requirements"] |= requirements
    return found


def rejected(account_id: str = "acct_a") -> dict[str, Any]:
    return asking(account_id, payouts=False, disabled_reason="requirements.past_due", past_due=["x"])


@dataclasses.dataclass
class Stripe:
    """Answers per account; an exception is raised, a callable is called before the answer."""

    answers: dict[str, Any] = dataclasses.field(default_factory=dict)
    asked: list[str] = dataclasses.field(default_factory=list)
    meanwhile: Any = None

    def retrieve_account(self, account_id: str) -> Any:
        from settld.core import transactions
        from settld.stripe_gateway import answers

        transactions.require_no_transaction()
        self.asked.append(account_id)
        answer = self.answers.get(account_id, account(account_id))
        if self.meanwhile is not None:
            rival, self.meanwhile = self.meanwhile, None
            rival()
        if isinstance(answer, Exception):
            raise answer
        return answers.account(answer)


def answering(settings: Any, monkeypatch: Any) -> Stripe:
    """Put such a Stripe in the place of the real one, for the rest of the test."""
    from moneyrails.rails import stripe_connect

    settings.STRIPE = dataclasses.replace(settings.STRIPE, secret_key="sk_test_rails")
    told = Stripe()
    monkeypatch.setattr(stripe_connect.client, "retrieve_account", told.retrieve_account)
    return told


@pytest.fixture
def stripe(db: None, settings: Any, monkeypatch: Any) -> Stripe:
    """A Stripe that answers as it is told."""
    return answering(settings, monkeypatch)


def failure(kind: str = "ProviderInDoubt", **error: Any) -> Exception:
    """A provider failure as the gateway raises it."""
    from settld.stripe_gateway import outcomes

    fields = {
        "message": "no answer from Stripe", "provider": "stripe", "category": "network_error",
        "retryable": True, "httpStatus": None, "providerCode": None, "providerType": None,
        "providerRequestId": None, "endpoint": "/v1/accounts/acct_a", "attempt": 3, "maxAttempts": 3,
        "circuitOpenUntil": None,
    }  # fmt: skip
    return getattr(outcomes, kind)(fields | error)


def gone() -> Exception:
    return failure(
        "ProviderRejected", category="upstream_rejected", httpStatus=403, providerCode="account_invalid",
        message="The provided key does not have access", retryable=False,
    )  # fmt: skip


def put(api: Api, account_id: str = "acct_a", **wish: Any) -> Any:
    answer = api.put(f"{BASE}/{account_id}", wish)
    assert answer.status_code == 200, answer.content
    return body(answer)


def sync(api: Api, *account_ids: str, **more: Any) -> Any:
    options = {name: more.pop(name) for name in ("key",) if name in more}
    sent = {"providerId": STRIPE, "accountIds": list(account_ids)} | more
    answer = api.post(f"{BASE}/sync", sent, **options)
    assert answer.status_code == 200, answer.content
    return body(answer)


def shown(api: Api, account_id: str = "acct_a") -> Any:
    """One account as GET shows it; None when it is not configured."""
    rows = body(api.get(BASE))["connect"]["accounts"]
    return next((row for row in rows if row["accountId"] == account_id), None)


def audits(action: str, *, tenant_id: str = "tenant_a") -> list[tuple[str, Any]]:
    """The audit rows of an action: target and details, oldest first."""
    from settld.audit.models import OpsAudit
    from settld.core import tenancy

    with tenancy.tenant_scope(tenant_id):
        rows = OpsAudit.objects.filter(tenant_id=tenant_id, action=action).order_by("id")
        return [(row.target_id, row.details) for row in rows]
