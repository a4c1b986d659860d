"""The route by which a provider, or whoever speaks for it, reports what happened to an operation."""

from typing import Any

from django.http import HttpResponse

from moneyrails.api import replies
from moneyrails.api.serializers import EVENT, OPERATION, event_json, operation_json
from moneyrails.rails import providers
from moneyrails.rails.providers import Provider
from moneyrails.services import events
from moneyrails.services.events import Ingested
from moneyrails.services.facts import Fact, InvalidEvent, event_type_of
from moneyrails.services.replies import Replayed
from settld.api import openapi
from settld.api.fields import Body
from settld.api.requests import OpsRequest, raw_body
from settld.api.responses import Json
from settld.api.views import OpsView
from settld.core.errors import Invalid
from settld.stripe_gateway import signatures

HEADER = "x-proxy-provider-signature"


class InvalidSignature(Invalid):
    """The bytes are not proven to come from the provider; they were not parsed."""

    message = "invalid provider signature"

    def __init__(self, problem: str) -> None:
        super().__init__(details={"message": problem})


class IngestEvent(OpsView):
    """POST /ops/money-rails/{providerId}/events/ingest"""

    scopes = {"POST": ("finance_write",)}
    reads_raw_body = True

    def before_body(self, request: Any, kwargs: dict[str, Any]) -> None:
        """Prove the raw bytes before they are parsed, when the provider signs."""
        provider = providers.by_path(kwargs["provider_id"])
        if provider.requires_signed_ingest:
            require_signature(request, provider)

    @openapi.describe(
        "Take in a provider's event about one operation",
        description="A provider that signs sends x-proxy-provider-signature: t=<unix>,v1=<hex>.",
        body=openapi.obj(
            {
                "operationId": openapi.TEXT,
                "eventType": openapi.maybe(openapi.TEXT),
                "providerStatus": openapi.maybe(openapi.TEXT),
                "eventId": openapi.maybe(openapi.TEXT),
                "providerRef": openapi.maybe(openapi.TEXT),
                "reasonCode": openapi.maybe(openapi.TEXT),
                "at": openapi.maybe(openapi.INSTANT),
                "payload": openapi.maybe(openapi.OBJECT),
            },
            optional=(
                "eventType", "providerStatus", "eventId", "providerRef", "reasonCode", "at", "payload",
            ),
        ),
        answers={
            200: openapi.obj(
                {
                    "operation": OPERATION,
                    "event": EVENT,
                    "applied": openapi.BOOL,
                    "eventType": openapi.TEXT,
                    "providerStatus": openapi.maybe(openapi.TEXT),
                }
            )
        },
        refusals=(409,),
        idempotent=True,
    )  # fmt: skip
    def post(self, request: OpsRequest, provider_id: str) -> HttpResponse:
        provider = providers.by_path(provider_id)
        body = Body(request.body_json)
        operation_id = body.required_text("operationId", most=900)
        fact = read_fact(provider, body, request)
        memory: replies.CallerMemory[Ingested] = replies.CallerMemory(
            request, lambda done: answer(done, fact)
        )
        try:
            with replies.lock_timeout_means_in_progress(memory):
                done = events.ingest(
                    tenant_id=request.tenant_id,
                    provider_id=provider.provider_id,
                    operation_id=operation_id,
                    fact=fact,
                    actor=request.actor,
                    now=request.received_at,
                    memory=memory,
                )
        except Replayed as replayed:
            return replies.replay(replayed)
        return answer(done, fact)


def require_signature(request: Any, provider: Provider) -> None:
    """Let a request pass whose raw body the provider signed freshly; raises InvalidSignature."""
    header = request.headers.get(HEADER, "").strip()
    if not header:
        raise InvalidSignature(f"{HEADER} header is required")
    try:
        signatures.verify(
            payload=raw_body(request),
            header=header,
            secrets=(provider.webhook_secret,),
            tolerance_seconds=provider.signature_tolerance_seconds,
            now_seconds=int(request.received_at.timestamp()),
        )
    except signatures.SignatureInvalid as error:
        raise InvalidSignature(str(error)) from error


def read_fact(provider: Provider, body: Body, request: OpsRequest) -> Fact:
    """Read an event's body; raises Invalid."""
    named = Body(body.values, message=InvalidEvent.message)
    provider_status = (named.text("providerStatus", most=200) or "").lower()
    event_type = event_type_of(
        provider,
        event_type=(named.text("eventType", most=200) or "").lower(),
        provider_status=provider_status,
    )
    return Fact(
        event_type=event_type,
        at=body.instant("at") or request.received_at,
        event_id=body.text("eventId", most=300) or "",
        provider_ref=body.text("providerRef") or "",
        reason_code=body.text("reasonCode", most=200) or "",
        provider_status=provider_status,
        payload=body.object("payload"),
    )


def answer(done: Ingested, fact: Fact) -> Json:
    """Shape what an event did."""
    return Json(
        {
            "operation": operation_json(done.operation),
            "event": event_json(done.event, done.operation),
            "applied": done.applied,
            "eventType": fact.event_type,
            "providerStatus": fact.provider_status or None,
        }
    )
