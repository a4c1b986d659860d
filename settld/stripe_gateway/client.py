"""The verbs that we ask of Stripe; the only users of its SDK besides the checkout adapter.

Every verb refuses to run inside a transaction, and ends in a typed answer or in one of
ProviderRejected, ProviderInDoubt and ProviderNotExecuted (outcomes.py), each with the error object.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, TypeVar, cast

import stripe
from django.conf import settings

from settld.settings_parsing import Stripe
from settld.stripe_gateway import answers, calls, profiles, replies
from settld.stripe_gateway.answers import Account, Dispute, ReversalPage, Transfer, TransferPage
from settld.stripe_gateway.calls import Endpoint, Made
from settld.stripe_gateway.outcomes import ProviderAnswerUnusable, ProviderErrorObject
from settld.stripe_gateway.profiles import Profile
from settld.stripe_gateway.replies import Reply
from settld.stripe_gateway.transport import Transport

PAGE_SIZE = 100
MAX_PAGES = 50
T = TypeVar("T")

stripe.enable_telemetry = False  # nothing about this machine goes along with our calls


def is_configured() -> bool:
    """Tell whether there is a secret key to call with."""
    return bool(settings.STRIPE.secret_key)


def is_live() -> bool:
    """Tell whether the key moves real money; any other key does not."""
    return str(settings.STRIPE.secret_key).startswith(("sk_live_", "rk_live_"))


def create_transfer(*, params: Mapping[str, Any], idempotency_key: str) -> Transfer:
    """Ask for a transfer; the same key with the same parameters never makes a second one.

    ProviderAnswerUnusable (a ProviderInDoubt): Stripe said yes without a usable transfer. Whether the
    transfer is the one asked for (amount, currency, destination) is for the caller to compare.
    """
    _require_key(idempotency_key)
    return _call(
        Endpoint(path="/v1/transfers", label="POST /v1/transfers"),
        lambda client: client.v1.transfers.create(
            cast(Any, dict(params)), options={"idempotency_key": idempotency_key}
        ),
        answers.transfer,
    )


def retrieve_transfer(transfer_id: str) -> Transfer:
    """Read one transfer as it is now; ProviderRejected with httpStatus 404 when there is none."""
    return _call(
        Endpoint(path=f"/v1/transfers/{transfer_id}", label="GET /v1/transfers/{id}"),
        lambda client: client.v1.transfers.retrieve(transfer_id),
        answers.transfer,
    )


def list_transfers(transfer_group: str) -> list[Transfer]:
    """Read every transfer of a group, newest first: all pages or an exception, never a part.

    A group longer than MAX_PAGES pages is refused as ProviderAnswerUnusable.
    """
    endpoint = Endpoint(path="/v1/transfers", label="GET /v1/transfers")
    found: list[Transfer] = []
    for _ in range(MAX_PAGES):
        params: dict[str, Any] = {"transfer_group": transfer_group, "limit": PAGE_SIZE}
        if found:
            params["starting_after"] = found[-1].id
        rows, has_more = _call(endpoint, _listing(params), _transfers)
        found += rows
        if not has_more:
            return found
    raise ProviderAnswerUnusable(_endless(endpoint))


def transfers_page(*, created_from: int, starting_after: str = "") -> TransferPage:
    """Read one page of all transfers made since an instant of Stripe's clock, newest first.

    `starting_after` is the `last_id` of the page before; ProviderRejected when Stripe knows it no more.
    """
    endpoint = Endpoint(path="/v1/transfers", label="GET /v1/transfers (statement)")
    return _call(endpoint, _listing(_window(created_from, starting_after)), answers.transfer_page)


def reversals_page(*, created_from: int, starting_after: str = "") -> ReversalPage:
    """Read one page of all reversals of transfers made since an instant, newest first; see transfers_page.

    They come from the balance's own journal: a list of transfers by age would not show them again.
    """
    endpoint = Endpoint(path="/v1/balance_transactions", label="GET /v1/balance_transactions (reversals)")
    params = _window(created_from, starting_after) | {"type": "transfer_refund", "expand": ["data.source"]}
    return _call(
        endpoint,
        lambda client: client.v1.balance_transactions.list(cast(Any, params)),
        answers.reversal_page,
    )


def retrieve_dispute(dispute_id: str) -> Dispute:
    """Read one dispute as it is now, with its charge; ProviderRejected with httpStatus 404 for none."""
    return _call(
        Endpoint(path=f"/v1/disputes/{dispute_id}", label="GET /v1/disputes/{id}"),
        lambda client: client.v1.disputes.retrieve(dispute_id, {"expand": ["charge"]}),
        answers.dispute,
    )


def _window(created_from: int, starting_after: str) -> dict[str, Any]:
    params: dict[str, Any] = {"limit": PAGE_SIZE, "created": {"gte": created_from}}
    return params | ({"starting_after": starting_after} if starting_after else {})


def retrieve_account(account_id: str) -> Account:
    """Read one connected account as it is now."""
    return _call(
        Endpoint(path=f"/v1/accounts/{account_id}", label="GET /v1/accounts/{id}"),
        lambda client: client.v1.accounts.retrieve(account_id),
        answers.account,
    )


def ask(*, endpoint: Endpoint, send: Callable[[stripe.StripeClient], Any], profile: Profile) -> Reply:
    """Make one SDK call of the caller's own choosing and give the plain object that it answered with.

    `send` makes exactly one request, such as `lambda c: c.v1.events.retrieve("evt_1")`; a write brings its
    idempotency key in the options. Ends like the verbs above, with the attempts on whatever is raised.
    ProviderAnswerUnusable when the answer is no object; an exception of `send` itself before anything has
    left is raised as it is.
    """
    made = _make(profiles.shaped(profile), endpoint, send, answers.thing)
    headers = made.answer.headers
    return Reply(
        body=made.value,
        status=made.answer.status,
        provider_time=replies.date_of(headers),
        is_replayed=replies.is_replayed(headers),
        request_id=headers.get("Request-Id"),
        attempts=made.attempts,
    )


def _listing(params: dict[str, Any]) -> Callable[[stripe.StripeClient], Any]:
    return lambda client: client.v1.transfers.list(cast(Any, params))


def _transfers(raw: Any) -> tuple[list[Transfer], bool]:
    page = answers.page(raw)
    return [answers.transfer(row) for row in page.rows], page.has_more


def _call(endpoint: Endpoint, send: Callable[[stripe.StripeClient], Any], read: Callable[[Any], T]) -> T:
    return _make(settings.STRIPE, endpoint, send, read).value


def _make(
    config: Stripe, endpoint: Endpoint, send: Callable[[stripe.StripeClient], Any], read: Callable[[Any], T]
) -> Made[T]:
    """Run one SDK call through the retries; `read` sees the plain JSON of the answer."""
    if not is_configured():
        raise RuntimeError("PROXY_BILLING_STRIPE_SECRET_KEY is not set; callers check is_configured() first")
    client, transport = _connect(config)
    return calls.make(
        endpoint=endpoint,
        config=config,
        transport=transport,
        send=lambda: read(send(client).last_response.data),
    )


@lru_cache(maxsize=8)
def _connect(config: Stripe) -> tuple[stripe.StripeClient, Transport]:
    """Build the SDK's client once for a set of settings."""
    transport = Transport(
        connect_seconds=config.connect_timeout_ms / 1000, total_seconds=config.total_timeout_ms / 1000
    )
    client = stripe.StripeClient(
        config.secret_key,
        stripe_version=config.pinned_api_version or None,
        base_addresses={"api": config.api_base_url},
        max_network_retries=0,
        http_client=transport,
    )
    return client, transport


def _require_key(idempotency_key: str) -> None:
    if not idempotency_key.strip() or len(idempotency_key) > 255:
        raise ValueError("a write needs an idempotency key of 1 to 255 characters")


def _endless(endpoint: Endpoint) -> ProviderErrorObject:
    return ProviderErrorObject(
        message="the list of transfers does not end",
        provider="stripe",
        category="invalid_response",
        retryable=False,
        httpStatus=200,
        providerCode=None,
        providerType=None,
        providerRequestId=None,
        endpoint=endpoint.path,
        attempt=1,
        maxAttempts=settings.STRIPE.retry_max_attempts,
        circuitOpenUntil=None,
    )
