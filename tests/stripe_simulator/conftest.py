"""The simulator, the official SDK pointed at it, an account to pay, and someone who takes webhooks."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import stripe

from tests.stripe_simulator.shop import Shop, open_shop
from tests.support.simulator import API_KEY, Simulator, stripe_sim, stripe_simulator
from tests.support.webhook_receiver import Receiver, receiving

__all__ = ["stripe_sim", "stripe_simulator"]

ACCOUNT = "acct_payee"


def client_of(simulator: Simulator, *, api_key: str = API_KEY, timeout: float = 10) -> stripe.StripeClient:
    """The official client, which retries nothing by itself."""
    http_client = stripe.RequestsClient(timeout=timeout)
    addresses = {"api": simulator.url}
    return stripe.StripeClient(
        api_key, base_addresses=addresses, http_client=http_client, max_network_retries=0
    )


@pytest.fixture
def client(stripe_sim: Simulator) -> stripe.StripeClient:
    return client_of(stripe_sim)


@pytest.fixture
def payee(stripe_sim: Simulator) -> str:
    stripe_sim.account(ACCOUNT)
    return ACCOUNT


@pytest.fixture
def pay(client: stripe.StripeClient, payee: str) -> Callable[..., stripe.Transfer]:
    """Make a transfer of 1000 usd cents, or as the arguments say; `key` is its idempotency key."""

    def make(*, key: str | None = None, **params: Any) -> stripe.Transfer:
        options: stripe.RequestOptions = {"idempotency_key": key} if key else {}
        base = {"amount": 1000, "currency": "usd", "destination": payee}
        return client.v1.transfers.create(params={**base, **params}, options=options)  # type: ignore[typeddict-item]

    return make


@pytest.fixture
def receiver(stripe_sim: Simulator) -> Iterator[Receiver]:
    with receiving() as found:
        yield found


SECRET = "whsec_test_secret"


@pytest.fixture
def hooked(stripe_sim: Simulator, receiver: Receiver, payee: str) -> Receiver:
    """A receiver that every event from here on is sent to."""
    stripe_sim.listen(receiver.url, SECRET)
    return receiver


@pytest.fixture
def shop(client: stripe.StripeClient, stripe_sim: Simulator) -> Shop:
    return open_shop(client, stripe_sim)
