"""Words and legal moves of checkout billing (spec/checkout-billing.md 0, 2, 6.1)."""

from typing import Final

from django.db.models import TextChoices

PROVIDER: Final = "stripe"


class EntityType(TextChoices):
    """Who is billed."""

    WORKSPACE = "workspace"
    USER = "user"
    ORGANIZATION = "organization"
    EXTERNAL = "external"


class EntityStatus(TextChoices):
    """An inactive entity may be read, not written."""

    ACTIVE = "active"
    INACTIVE = "inactive"


class OrganizationRole(TextChoices):
    """What a person is in an organization."""

    OWNER = "owner"
    BILLING_ADMIN = "billing_admin"
    MEMBER = "member"


class MembershipStatus(TextChoices):
    """Whether a membership counts."""

    ACTIVE = "active"
    REMOVED = "removed"


class PrincipalType(TextChoices):
    """Whom a grant names."""

    USER = "user"
    API_CLIENT = "api_client"


class CustomerOrigin(TextChoices):
    """How a customer came to be known."""

    CHECKOUT = "checkout"
    ONE_OFF = "one_off"
    PAYMENT_LINK = "payment_link"
    BACKFILL = "backfill"


class BillingComponent(TextChoices):
    """What a price is for."""

    BASE = "base"
    SEAT = "seat"
    METERED = "metered"
    ADD_ON = "add_on"


class UsageType(TextChoices):
    """Whether a price is paid ahead or by use."""

    LICENSED = "licensed"
    METERED = "metered"


class Interval(TextChoices):
    """How often a price recurs."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


class SubscriptionStatus(TextChoices):
    """The provider's words for a subscription."""

    INCOMPLETE = "incomplete"
    INCOMPLETE_EXPIRED = "incomplete_expired"
    TRIALING = "trialing"
    ACTIVE = "active"
    PAST_DUE = "past_due"
    PAUSED = "paused"
    UNPAID = "unpaid"
    CANCELED = "canceled"


TERMINAL_SUBSCRIPTION: Final = (SubscriptionStatus.CANCELED, SubscriptionStatus.INCOMPLETE_EXPIRED)
CURRENT_SUBSCRIPTION: Final = tuple(s for s in SubscriptionStatus if s not in TERMINAL_SUBSCRIPTION)


class InvoiceStatus(TextChoices):
    """The provider's words for an invoice."""

    DRAFT = "draft"
    OPEN = "open"
    PAID = "paid"
    UNCOLLECTIBLE = "uncollectible"
    VOID = "void"


class PaymentStatus(TextChoices):
    """How a payment ended."""

    PAID = "paid"
    FAILED = "failed"


class PaymentMethodStatus(TextChoices):
    """Whether a payment method can be charged."""

    ACTIVE = "active"
    DETACHED = "detached"
    EXPIRED = "expired"
    DISABLED = "disabled"


class SyncStatus(TextChoices):
    """How a look at the payment methods ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"


class UsageState(TextChoices):
    """Whether a counted use is certain yet."""

    RESERVED = "reserved"
    COUNTED = "counted"


class Action(TextChoices):
    """What a client's idempotency key is for."""

    CHECKOUT = "checkout"
    PORTAL = "portal"
    PAYMENT_LINK = "payment_link"


class RequestStatus(TextChoices):
    """Where an idempotent request stands; all but pending are final."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    EXPIRED = "expired"


class FailureCode(TextChoices):
    """Why a request ended without success; stored, and rendered the same for ever (section 4)."""

    CHECKOUT_PROVIDER_ERROR = "checkout_provider_error"
    CHECKOUT_PLAN_NOT_FOUND = "checkout_plan_not_found"
    CHECKOUT_SESSION_OPEN = "checkout_session_open"
    CHECKOUT_COMPLETION_PENDING = "checkout_completion_pending"
    CHECKOUT_RECOVERY_VERIFICATION_PENDING = "checkout_recovery_verification_pending"
    CHECKOUT_CONFIGURATION_INVALID = "checkout_configuration_invalid"
    SUBSCRIPTION_EXISTS_USE_PORTAL = "subscription_exists_use_portal"
    PORTAL_SUBSCRIPTION_REQUIRED = "portal_subscription_required"
    CHECKOUT_RECOVERY_WINDOW_ELAPSED = "checkout_recovery_window_elapsed"
    CHECKOUT_REPLAY_PROVENANCE_MISMATCH = "checkout_replay_provenance_mismatch"


class Flow(TextChoices):
    """What a checkout session sells."""

    SUBSCRIPTION = "subscription"
    ONE_OFF = "one_off"
    PAYMENT_LINK = "payment_link"


class SessionStatus(TextChoices):
    """Where a checkout session stands."""

    OPEN = "open"
    COMPLETED_PENDING_SUBSCRIPTION = "completed_pending_subscription"
    RECOVERY_VERIFICATION_PENDING = "recovery_verification_pending"
    COMPLETED_RECONCILED = "completed_reconciled"
    EXPIRED = "expired"
    ABANDONED = "abandoned"


BLOCKING: Final = (
    SessionStatus.OPEN,
    SessionStatus.COMPLETED_PENDING_SUBSCRIPTION,
    SessionStatus.RECOVERY_VERIFICATION_PENDING,
)
# Staying in place is allowed, too: it fills what was not known.
SESSION_MOVES: Final[dict[str, frozenset[str]]] = {
    SessionStatus.OPEN: frozenset({"completed_pending_subscription", "expired", "abandoned"}),
    SessionStatus.COMPLETED_PENDING_SUBSCRIPTION: frozenset({"completed_reconciled", "abandoned"}),
    SessionStatus.RECOVERY_VERIFICATION_PENDING: frozenset(
        {"open", "completed_pending_subscription", "completed_reconciled", "expired", "abandoned"}
    ),
    SessionStatus.COMPLETED_RECONCILED: frozenset(),
    SessionStatus.EXPIRED: frozenset(),
    SessionStatus.ABANDONED: frozenset(),
}


def session_moves(*, flow: str, status: str) -> frozenset[str]:
    """Give the states that a session may enter; only without a subscription may `open` be done at once."""
    moves = SESSION_MOVES[status]
    if status == SessionStatus.OPEN and flow != Flow.SUBSCRIPTION:
        return moves | {SessionStatus.COMPLETED_RECONCILED.value}
    return moves


class RemediationStatus(TextChoices):
    """Where the cancellation of a duplicate stands."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    DEAD_LETTER = "dead_letter"


class JobStatus(TextChoices):
    """Where an effect owed to the provider stands."""

    PENDING = "pending"
    LEASED = "leased"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    DEAD_LETTER = "dead_letter"


class RunStatus(TextChoices):
    """Where a reconciliation run stands."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class Scope(TextChoices):
    """What a reconciliation run compares (section 9.3)."""

    PENDING_RECENT = "pending_recent"
    CHECKOUT_RECOVERY_VERIFICATION = "checkout_recovery_verification"
    CHECKOUT_COMPLETED_PENDING = "checkout_completed_pending"
    CHECKOUT_OPEN = "checkout_open"
    SUBSCRIPTIONS_ACTIVE = "subscriptions_active"
    INVOICES_RECENT = "invoices_recent"
    PAYMENT_METHODS = "payment_methods"


class RefKind(TextChoices):
    """What kind of identifier the directory leads from."""

    OPERATION_KEY = "operation_key"
    CUSTOMER = "customer"
    SUBSCRIPTION = "subscription"
    CHECKOUT_SESSION = "checkout_session"
    PAYMENT_LINK = "payment_link"


class Writer(TextChoices):
    """Who may write the life of a subscription (INV-24)."""

    SUBSCRIPTION_PROJECTION = "subscription_projection"
    RECONCILIATION = "reconciliation"
