"""A client's idempotent request, with everything needed to carry it out again exactly as it was."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from billing.models import fields, triggers
from billing.models.fields import Stamped
from billing.states import Action, FailureCode, RequestStatus

FROZEN = (
    "provider_request_params_json",
    "provider_request_hash",
    "provider_request_schema_version",
    "provider_sdk_name",
    "provider_sdk_version",
    "provider_api_version",
    "provider_request_frozen_at",
)


def _all(is_null: bool) -> Q:
    return Q(**{f"{name}__isnull": is_null for name in FROZEN})


class BillingRequest(Stamped):
    """One claim of a client's idempotency key for one action of one entity (section 4).

    pending holds a lease; a finished row never changes (INV-11). The frozen columns are written once
    (INV-9) and are what a replay sends. Migration 0002 adds the checks on the stored parameters
    (INV-13) and the deferred rule that a claim is never cleared into nothing (INV-15).
    """

    tenant_id = fields.tenant()
    billable_entity = fields.belongs_to("billing.BillableEntity")
    action = fields.word(Action)
    client_idempotency_key = fields.ref()
    request_fingerprint_hash = fields.ref(64)
    normalized_request_json = models.JSONField()
    operation_key = fields.ref(64)
    provider = fields.provider()
    provider_idempotency_key = fields.ref()
    provider_request_params_json = models.JSONField(null=True, blank=True)
    provider_request_hash = fields.optional_ref(64)
    provider_request_schema_version = fields.optional_ref(80)
    provider_sdk_name = fields.optional_ref(80)
    provider_sdk_version = fields.optional_ref(40)
    provider_api_version = fields.optional_ref(40)
    provider_request_frozen_at = models.DateTimeField(null=True, blank=True)
    provider_idempotency_replay_deadline_at = models.DateTimeField(null=True, blank=True)
    provider_checkout_session_expires_at_upper_bound = models.DateTimeField(null=True, blank=True)
    provider_session_id = fields.optional_ref()
    # Whether some attempt got no clear answer, and whether the provider has saved a 5xx under our key.
    had_indeterminate_attempt = models.BooleanField(default=False)
    has_saved_failure = models.BooleanField(default=False)
    response_json = models.JSONField(null=True, blank=True)
    status = fields.word(RequestStatus, default=RequestStatus.PENDING)
    pending_lease_expires_at = models.DateTimeField(null=True, blank=True)
    pending_last_heartbeat_at = models.DateTimeField(null=True, blank=True)
    lease_owner = models.CharField(max_length=120, null=True, blank=True)  # noqa: DJ001  (absent is NULL here)
    lease_version = models.IntegerField(default=1)
    recovery_attempt_count = models.IntegerField(default=0)
    last_recovery_attempt_at = models.DateTimeField(null=True, blank=True)
    failure_code = fields.word(FailureCode, null=True, blank=True)
    failure_reason = models.TextField(null=True, blank=True)  # noqa: DJ001  (absent is NULL here)
    failure_details_json = models.JSONField(null=True, blank=True)
    expires_at = models.DateTimeField()

    class Meta:
        db_table = "billing_request_idempotency"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tenant_id", "billable_entity", "action", "client_idempotency_key"],
                name="request_client_key",
            ),
            models.UniqueConstraint(
                fields=["tenant_id", "action", "operation_key"], name="request_operation_key"
            ),
            models.UniqueConstraint(
                fields=["tenant_id", "provider", "provider_idempotency_key"], name="request_provider_key"
            ),
            models.UniqueConstraint(
                fields=["tenant_id", "billable_entity"],
                condition=Q(action=Action.CHECKOUT, status=RequestStatus.PENDING),
                name="request_one_pending_checkout",
            ),
            fields.one_of("action", Action, name="request_action"),
            fields.one_of("status", RequestStatus, name="request_status"),
            models.CheckConstraint(
                condition=Q(status=RequestStatus.PENDING, pending_lease_expires_at__isnull=False)
                | (~Q(status=RequestStatus.PENDING) & Q(pending_lease_expires_at=None)),
                name="request_pending_has_lease",
            ),
            models.CheckConstraint(
                condition=~Q(status=RequestStatus.SUCCEEDED) | Q(response_json__isnull=False),
                name="request_succeeded_has_answer",
            ),
            models.CheckConstraint(
                condition=Q(
                    status__in=[RequestStatus.FAILED, RequestStatus.EXPIRED],
                    failure_code__isnull=False,  # a bare IN would let NULL through
                    failure_code__in=FailureCode.values,
                )
                | (~Q(status__in=[RequestStatus.FAILED, RequestStatus.EXPIRED]) & Q(failure_code=None)),
                name="request_failure_has_code",
            ),
            models.CheckConstraint(
                condition=_all(True)
                | (_all(False) & Q(provider_idempotency_replay_deadline_at__isnull=False)),
                name="request_frozen_whole",
            ),
            models.CheckConstraint(
                condition=_all(True)
                | ~Q(action=Action.CHECKOUT)
                | Q(provider_checkout_session_expires_at_upper_bound__isnull=False),
                name="request_checkout_has_bound",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["status", "pending_lease_expires_at"], name="request_leases"),
            models.Index(
                fields=["provider_idempotency_replay_deadline_at"],
                name="request_deadlines",
                condition=Q(status=RequestStatus.PENDING),
            ),
            models.Index(fields=["expires_at"], name="request_retention"),
            models.Index(fields=["id"], name="request_walk", condition=Q(status=RequestStatus.PENDING)),
            models.Index(fields=["billable_entity", "updated_at"], name="request_recent"),
            models.Index(fields=["-updated_at", "-id"], name="request_latest"),
            models.Index(fields=["operation_key"], name="request_by_operation"),
        ]
        triggers: ClassVar = [
            triggers.entity_lock_held("request"),
            triggers.immutable(
                "request",
                "tenant_id",
                "billable_entity_id",
                "action",
                "client_idempotency_key",
                "request_fingerprint_hash",
                "normalized_request_json",
                "operation_key",
                "provider",
                "provider_idempotency_key",
                rule="request_identity",
            ),
            triggers.fill_only("request", *triggers.REQUEST_FROZEN_COLUMNS, rule="request_frozen"),
            triggers.REQUEST_LIFE,
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.client_idempotency_key}: {self.status}"

    @property
    def is_pending(self) -> bool:
        """Tell whether the request has no end yet."""
        return bool(self.status == RequestStatus.PENDING)
