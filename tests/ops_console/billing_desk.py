"""An operator at the console's billing pages, and what he finds there."""

import html
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from billing.models import BillableEntity
from billing.providers import base
from billing.providers.errors import Category, ProviderProblem
from billing.providers.facts import Answer, Listing, PriceFacts
from settld.audit.models import OpsAudit
from settld.core import clock, tenancy
from settld.stripe_gateway.models import StripeEventConsumption
from tests.billing import factories, payloads
from tests.billing.shop_provider import price as one_time_price
from tests.billing.workers import WorkerProvider
from tests.ops_console.world import login, make_person

NOW = factories.NOW
HOME = "/console/billing"
HTMX = {"HX-Request": "true"}
MONTHLY = {"type": "recurring", "interval": "month", "interval_count": 1, "usage_type": "licensed"}


class DeskProvider(WorkerProvider):
    """The workers' provider, with a list of prices."""

    def __init__(self) -> None:
        super().__init__()
        self.prices: dict[str, PriceFacts] = {}

    def sells(self, price_id: str, **more: Any) -> None:
        self.prices[price_id] = one_time_price(price_id, **more)

    def retrieve_price(self, price_id: str, *, profile: str = "request") -> Any:
        self._ask(price_id)
        if price_id not in self.prices:
            raise ProviderProblem(
                "no such price",
                category=Category.NOT_FOUND,
                http_status=404,
                provider_code="resource_missing",
            )
        return Answer(facts=self.prices[price_id], raw={}, provider_time=None)

    def list_prices(self, *, active: bool, limit: int, profile: str = "request") -> Any:
        self._ask("prices")
        items = [Answer(facts=price, raw={}, provider_time=None) for price in self.prices.values()]
        return Listing(items=tuple(items[:limit]), provider_time=None)


@pytest.fixture
def provider(monkeypatch) -> DeskProvider:
    """The deployment's provider."""
    fake = DeskProvider()
    monkeypatch.setattr(base, "active", lambda: fake)
    monkeypatch.setattr(base, "named", lambda name: fake)
    return fake


@pytest.fixture
def entity(db) -> Iterator[BillableEntity]:
    """The entity of tenant_a, by a clock that stands still."""
    with clock.freeze(NOW):
        yield factories.workspace_entity()


@pytest.fixture
def admin(entity) -> Client:
    """The browser of a platform admin, who has every right; he belongs to another tenant."""
    return login(make_person("ada", {"tenant_desk": "owner"}, platform_role="admin"))


@pytest.fixture
def operator(entity) -> Client:
    """The browser of a platform operator, who may not change what is sold."""
    return login(make_person("otto", {"tenant_desk": "viewer"}, platform_role="operator"))


def text_of(answer: HttpResponse) -> str:
    """What a person reads, in one line."""
    main = answer.content.decode().split("<main", 1)[-1].split("</main>", 1)[0]
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", main)))


def shown(client: Client, path: str) -> str:
    """What a person reads on a page that opens."""
    answer = client.get(f"{HOME}{path}")
    assert answer.status_code == 200, answer.content
    return text_of(answer)


def form_of(client: Client, path: str) -> dict[str, str]:
    """The hidden fields of an act's form, as it is shown."""
    answer = client.get(f"{HOME}{path}")
    assert answer.status_code == 200, answer.content
    return dict(re.findall(r'name="(idempotency_key|tenant)" value="([^"]*)"', answer.content.decode()))


def act(client: Client, path: str, form: dict[str, str] | None = None, **values: str) -> HttpResponse:
    """Open an act's form and send it, or send one that was opened before."""
    return client.post(f"{HOME}{path}", (form or form_of(client, path)) | values)


def told(client: Client, answer: HttpResponse) -> str:
    """What the page says after an act that went through."""
    assert answer.status_code == 303, text_of(answer)
    page = client.get(answer["location"]).content.decode()
    return " ".join(html.unescape(text) for text in re.findall(r'class="toast [^>]*><span>([^<]*)', page))


def faults(answer: HttpResponse) -> list[str]:
    """What stands beside the fields of a form that was sent back."""
    assert answer.status_code == 422, text_of(answer)
    return [
        html.unescape(text) for text in re.findall(r'class="errorlist"[^>]*>([^<]*)', answer.content.decode())
    ]


def audited(action: str) -> list[OpsAudit]:
    """The audit rows of an action, of whatever tenant."""
    with tenancy.platform_scope(reason="test"):
        return list(OpsAudit.objects.filter(action=action).order_by("id"))


def inbox(body: dict[str, Any], **more: Any) -> StripeEventConsumption:
    """An event in the inbox that billing has not applied."""
    values = {
        "status": "failed",
        "attempts": 3,
        "tenant_id": "tenant_a",
        "error": "LookupError: no such row",
        "error_code": "INTERNAL_ERROR",
        "next_attempt_at": NOW.replace(hour=13),
        "created_at": NOW,
        "updated_at": NOW,
    } | more
    row: StripeEventConsumption = StripeEventConsumption.objects.create(
        event=payloads.stored(body), consumer="checkout", **values
    )
    return row
