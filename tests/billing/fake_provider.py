"""The provider as far as applying events asks it: objects as they are now, its clock, and its bad days."""

from collections.abc import Callable
from typing import Any

from billing.provider_time import ProviderTime
from billing.providers import base, shapes
from billing.providers.errors import Category, ProviderProblem
from billing.providers.facts import Answer
from settld.core import transactions
from tests.billing.payloads import T0


class FakeProvider:
    """Holds objects by id; refuses, as the real one does, to be asked inside a transaction."""

    name = "stripe"

    def __init__(self) -> None:
        self.now = T0 + 1_000
        self.things: dict[str, dict[str, Any]] = {}
        self.asked: list[str] = []
        self.is_down = False
        self.meanwhile: list[Callable[[], None]] = []

    def hold(self, thing: dict[str, Any]) -> None:
        """Have an object be like this from now on."""
        self.things[thing["id"]] = thing

    def retrieve_subscription(self, subscription_id: str, *, profile: str = "request") -> Answer[Any]:
        return self._answer(subscription_id, shapes.subscription_facts)

    def retrieve_invoice(self, invoice_id: str, *, profile: str = "request") -> Answer[Any]:
        return self._answer(invoice_id, shapes.invoice_facts)

    def _answer(self, object_id: str, read: Callable[[Any], Any]) -> Answer[Any]:
        transactions.require_no_transaction()
        self.asked.append(object_id)
        if self.is_down:
            raise ProviderProblem("no answer", category=Category.TRANSIENT_NETWORK)
        if object_id not in self.things:
            raise ProviderProblem(
                "no such object",
                category=Category.NOT_FOUND,
                http_status=404,
                provider_code="resource_missing",
            )
        thing = self.things[object_id]
        answer = Answer(facts=read(thing), raw=thing, provider_time=ProviderTime(self.now))
        if self.meanwhile:  # what others do between the provider's answer and our lock
            self.meanwhile.pop(0)()
        return answer


def install(monkeypatch: Any) -> FakeProvider:
    """Put a fake in the place of the deployment's provider."""
    fake = FakeProvider()
    monkeypatch.setattr(base, "active", lambda: fake)
    return fake
