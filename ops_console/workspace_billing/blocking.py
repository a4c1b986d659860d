"""Why a workspace cannot begin a subscription checkout now, and where to go on instead."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from billing.models import BillingRequest, CheckoutSession
from billing.services import checkout_session
from billing.services.snapshot import Snapshot
from billing.states import BLOCKING, Action, Flow, RequestStatus, SessionStatus
from ops_console import words
from ops_console.workspace_billing import forms
from ops_console.workspace_billing.desk import Desk
from ops_console.workspace_billing.forms import Form

MANAGE: Final = "#manage"


@dataclass(frozen=True)
class Block:
    """One reason with one link; `can_look` offers to ask the provider about it now.

    `again` is the form that was sent and had no answer: sent once more, it goes on with the same request.
    """

    reason: str
    href: str
    link: str
    is_open: bool = False
    can_look: bool = False
    again: Form | None = None

    @property
    def is_subscription(self) -> bool:
        """Tell whether the portal is where to go on."""
        return self.href == MANAGE


def find(desk: Desk, snapshot: Snapshot) -> Block | None:
    """Give what is in the way of a subscription checkout; None when nothing is. Takes no lock."""
    if snapshot.subscription is not None:
        return Block(
            "There is a subscription already. Manage billing changes its plan or cancels it.",
            MANAGE,
            "Manage billing",
        )
    session = blocking_session(desk)
    if session is not None:
        return _of_session(desk, session)
    request = pending_request(desk)
    if request is not None:
        return Block(
            "A checkout was begun a moment ago, and whether the provider has it is not known yet. This"
            " settles by itself within minutes; nothing is started twice.",
            story_href(desk, request.operation_key),
            "What happened so far",
            again=_again(desk, request),
        )
    return None


def blocking_session(desk: Desk) -> CheckoutSession | None:
    """Give the session that blocks now, by the same rule that the checkout goes by."""
    found = CheckoutSession.objects.filter(
        tenant_id=desk.tenant_id, billable_entity=desk.entity, flow=Flow.SUBSCRIPTION, status__in=BLOCKING
    )
    return checkout_session.blocking_session(found.order_by("id"), now=desk.now)


def pending_request(desk: Desk) -> BillingRequest | None:
    """Give the checkout request that has no end yet; there is one at most."""
    return BillingRequest.objects.filter(
        tenant_id=desk.tenant_id,
        billable_entity=desk.entity,
        action=Action.CHECKOUT,
        status=RequestStatus.PENDING,
    ).first()


def _again(desk: Desk, request: BillingRequest) -> Form | None:
    """Give the form of this page that a request came from; None when it came from elsewhere."""
    order = dict(request.normalized_request_json)
    order.pop("action", None), order.pop("billableEntityId", None)
    plan = order.get("planCode")
    if not isinstance(plan, str) or order != forms.checkout_order(desk, plan=plan).normalized():
        return None
    return Form(request.client_idempotency_key, {"plan": plan})


def story_href(desk: Desk, operation_key: str) -> str:
    """Give the timeline of one operation."""
    return f"{desk.href()}?{urlencode({'tab': 'timeline', 'operationKey': operation_key})}"


def _of_session(desk: Desk, session: CheckoutSession) -> Block:
    story = story_href(desk, session.operation_key)
    if session.status == SessionStatus.OPEN:
        until = f" until {words.moment(session.expires_at)} UTC" if session.expires_at else ""
        if session.checkout_url:
            return Block(
                f"A checkout is open{until}.",
                session.checkout_url,
                "Continue to checkout",
                is_open=True,
                can_look=True,
            )
        return Block(f"A checkout is open{until}.", story, "What happened so far", can_look=True)
    if session.status == SessionStatus.COMPLETED_PENDING_SUBSCRIPTION:
        return Block(
            "A checkout is paid, and its subscription is being set up.",
            story,
            "What happened so far",
            can_look=True,
        )
    until = f", at the latest until {words.moment(session.expires_at)} UTC" if session.expires_at else ""
    return Block(
        f"Whether an earlier checkout exists at the provider is being verified{until}.",
        story,
        "What happened so far",
    )
