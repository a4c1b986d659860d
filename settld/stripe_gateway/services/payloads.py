"""Payloads that retention has emptied: Stripe keeps its events for thirty days and gives them again."""

import copy
import json

from settld.core.errors import Refusal
from settld.stripe_gateway import client
from settld.stripe_gateway.calls import Endpoint
from settld.stripe_gateway.models import StripeEvent
from settld.stripe_gateway.outcomes import ProviderRejected


class PayloadExpired(Refusal):
    """Neither we nor Stripe have the event's payload any more; nobody can apply it."""

    status = 409
    code = "payload_expired"
    message = "the event's payload is gone, here and at Stripe"


def readable(event: StripeEvent) -> StripeEvent:
    """Give the event with its payload: as stored, or fetched again when retention has emptied it.

    What is fetched is not stored. Raises PayloadExpired when Stripe knows the event no more, and what
    client.ask raises when Stripe cannot be asked.
    """
    if not event.is_scrubbed:
        return event
    event_id = event.provider_event_id
    try:
        reply = client.ask(
            endpoint=Endpoint(path=f"/v1/events/{event_id}", label="GET /v1/events/{id}"),
            send=lambda c: c.v1.events.retrieve(event_id),
            profile="worker",
        )
    except ProviderRejected as rejection:
        if rejection.error["httpStatus"] != 404:
            raise
        raise PayloadExpired() from rejection
    if reply.body.get("object") != "event" or reply.body.get("id") != event_id:
        raise PayloadExpired()
    fetched = copy.copy(event)
    fetched.__dict__.pop("body", None)
    fetched.payload = json.dumps(reply.body)
    return fetched
