import django.db.models.deletion
import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models

import settld.core.ids
from settld.core.rls import Fence


class Migration(migrations.Migration):
    """The tables of the money rails, each behind its fence; three of them append-only."""

    initial = True

    dependencies = [("core", "0001_application_role")]

    operations = [
        migrations.CreateModel(
            name="ConnectAccount",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=settld.core.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("tenant_id", models.CharField(db_collation="C", max_length=200)),
                ("account_id", models.CharField(db_collation="C", max_length=200)),
                ("party_id", models.CharField(blank=True, db_collation="C", default="", max_length=200)),
                ("party_role", models.CharField(blank=True, db_collation="C", default="", max_length=40)),
                (
                    "status",
                    models.CharField(
                        choices=[("active", "active"), ("disabled", "disabled")],
                        default="active",
                        max_length=10,
                    ),
                ),
                (
                    "disabled_by",
                    models.CharField(
                        blank=True,
                        choices=[("operator", "operator"), ("provider", "provider")],
                        default="",
                        max_length=10,
                    ),
                ),
                ("payouts_enabled", models.BooleanField(default=True)),
                ("transfers_enabled", models.BooleanField(default=True)),
                ("is_default", models.BooleanField(default=False)),
                ("kyb_status", models.CharField(blank=True, default="", max_length=12)),
                ("kyb_currently_due", models.JSONField(default=list)),
                ("kyb_pending_verification", models.JSONField(default=list)),
                (
                    "kyb_disabled_reason",
                    models.CharField(blank=True, db_collation="C", default="", max_length=500),
                ),
                ("kyb_last_sync_at", models.DateTimeField(null=True)),
                ("kyb_last_sync_error", models.JSONField(null=True)),
                ("created_at", models.DateTimeField()),
                ("updated_at", models.DateTimeField()),
            ],
            options={
                "verbose_name": "Connect account",
                "db_table": "stripe_connect_account",
                "constraints": [
                    models.UniqueConstraint(fields=("tenant_id", "account_id"), name="connect_account_once"),
                    models.UniqueConstraint(
                        condition=models.Q(("party_id", ""), _negated=True),
                        fields=("tenant_id", "party_id"),
                        name="connect_one_account_per_party",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("is_default", True)),
                        fields=("tenant_id",),
                        name="connect_one_default_per_tenant",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("status__in", ["active", "disabled"])),
                        name="connect_status_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("disabled_by", ""), ("status", "active")),
                            models.Q(("status", "disabled"), models.Q(("disabled_by", ""), _negated=True)),
                            _connector="OR",
                        ),
                        name="connect_disabled_by_somebody",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "kyb_status__in",
                                ["", "pending", "restricted", "verified", "rejected", "unknown"],
                            )
                        ),
                        name="connect_kyb_status_known",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ExposureCounter",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=settld.core.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("tenant_id", models.CharField(db_collation="C", max_length=200)),
                (
                    "provider_mode",
                    models.CharField(
                        choices=[("sandbox", "Sandbox"), ("production", "Production")],
                        db_collation="C",
                        max_length=20,
                    ),
                ),
                ("day_key", models.CharField(db_collation="C", max_length=10)),
                ("amount_cents", models.BigIntegerField()),
                ("operation_count", models.IntegerField()),
            ],
            options={
                "verbose_name": "exposure counter",
                "db_table": "exposure_counter",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("tenant_id", "provider_mode", "day_key"), name="exposure_once_per_day"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("amount_cents__gte", 0), ("operation_count__gte", 0)),
                        name="exposure_not_negative",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="MoneyRailControls",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=settld.core.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("tenant_id", models.CharField(db_collation="C", max_length=200, unique=True)),
                ("real_money_enabled", models.BooleanField(default=False)),
                ("payout_kill_switch", models.BooleanField(default=False)),
                ("max_payout_amount_cents", models.BigIntegerField(null=True)),
                ("daily_payout_limit_cents", models.BigIntegerField(null=True)),
                ("allowed_provider_ids", models.JSONField(null=True)),
                ("daily_mismatch_alert_threshold", models.IntegerField(null=True)),
                ("has_connect", models.BooleanField(default=True)),
                ("connect_enabled", models.BooleanField(default=False)),
                ("connect_updated_at", models.DateTimeField(null=True)),
                ("has_chargeback_policy", models.BooleanField(default=True)),
                ("chargeback_enabled", models.BooleanField(default=False)),
                (
                    "negative_balance_mode",
                    models.CharField(
                        choices=[("hold", "Hold"), ("net", "Net")], default="hold", max_length=4
                    ),
                ),
                ("max_outstanding_cents", models.BigIntegerField(null=True)),
                ("chargeback_updated_at", models.DateTimeField(null=True)),
                ("configured_at", models.DateTimeField(null=True)),
                ("created_at", models.DateTimeField()),
            ],
            options={
                "verbose_name": "money rail controls",
                "verbose_name_plural": "money rail controls",
                "db_table": "money_rail_controls",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("max_payout_amount_cents__isnull", True),
                                ("max_payout_amount_cents__gte", 0),
                                _connector="OR",
                            ),
                            models.Q(
                                ("daily_payout_limit_cents__isnull", True),
                                ("daily_payout_limit_cents__gte", 0),
                                _connector="OR",
                            ),
                            models.Q(
                                ("max_outstanding_cents__isnull", True),
                                ("max_outstanding_cents__gte", 0),
                                _connector="OR",
                            ),
                            models.Q(
                                ("daily_mismatch_alert_threshold__isnull", True),
                                ("daily_mismatch_alert_threshold__gte", 1),
                                _connector="OR",
                            ),
                        ),
                        name="controls_limits_not_negative",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("negative_balance_mode__in", ["hold", "net"])),
                        name="controls_balance_mode_known",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Operation",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=settld.core.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("tenant_id", models.CharField(db_collation="C", max_length=200)),
                ("provider_id", models.CharField(db_collation="C", max_length=200)),
                ("operation_id", models.CharField(db_collation="C", max_length=900)),
                (
                    "direction",
                    models.CharField(
                        choices=[("payout", "Payout"), ("collection", "Collection")],
                        db_collation="C",
                        max_length=20,
                    ),
                ),
                ("payout_key", models.CharField(db_collation="C", max_length=900)),
                ("party_id", models.CharField(db_collation="C", max_length=200)),
                ("period", models.CharField(db_collation="C", max_length=7)),
                ("statement_hash", models.CharField(db_collation="C", max_length=64)),
                ("amount_cents", models.BigIntegerField()),
                ("recovery_applied_cents", models.BigIntegerField(default=0)),
                ("currency", models.CharField(db_collation="C", max_length=3)),
                ("counterparty_ref", models.CharField(db_collation="C", max_length=600)),
                (
                    "requested_counterparty_ref",
                    models.CharField(blank=True, db_collation="C", default="", max_length=500),
                ),
                (
                    "requested_provider_id",
                    models.CharField(blank=True, db_collation="C", default="", max_length=500),
                ),
                ("metadata", models.JSONField(default=dict)),
                (
                    "provider_mode",
                    models.CharField(
                        choices=[("sandbox", "Sandbox"), ("production", "Production")],
                        db_collation="C",
                        max_length=20,
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("initiated", "Initiated"),
                            ("submitted", "Submitted"),
                            ("confirmed", "Confirmed"),
                            ("failed", "Failed"),
                            ("cancelled", "Cancelled"),
                            ("reversed", "Reversed"),
                        ],
                        db_collation="C",
                        max_length=20,
                    ),
                ),
                ("provider_ref", models.CharField(blank=True, db_collation="C", default="", max_length=500)),
                ("reason_code", models.CharField(blank=True, db_collation="C", default="", max_length=500)),
                ("initiated_at", models.DateTimeField()),
                ("submitted_at", models.DateTimeField(null=True)),
                ("confirmed_at", models.DateTimeField(null=True)),
                ("failed_at", models.DateTimeField(null=True)),
                ("cancelled_at", models.DateTimeField(null=True)),
                ("reversed_at", models.DateTimeField(null=True)),
                ("gate_verdicts", models.JSONField(default=list)),
                ("request_hash", models.CharField(db_collation="C", max_length=64)),
                ("created_at", models.DateTimeField()),
                ("updated_at", models.DateTimeField()),
            ],
            options={
                "verbose_name": "operation",
                "db_table": "money_rail_operation",
                "indexes": [
                    models.Index(
                        condition=models.Q(
                            ("direction", "payout"), ("state__in", ["confirmed", "initiated", "submitted"])
                        ),
                        fields=["tenant_id", "provider_mode", "initiated_at"],
                        name="operation_exposure",
                    ),
                    models.Index(fields=["tenant_id", "provider_id", "period"], name="operation_of_period"),
                    models.Index(fields=["tenant_id", "party_id", "period"], name="operation_of_party"),
                    models.Index(
                        fields=["tenant_id", "state", "initiated_at", "id"], name="operation_by_state"
                    ),
                    models.Index(fields=["tenant_id", "initiated_at", "id"], name="operation_by_age"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("tenant_id", "provider_id", "operation_id"),
                        name="operation_once_per_provider",
                    ),
                    models.UniqueConstraint(
                        fields=("tenant_id", "direction", "payout_key"), name="operation_once_per_payout_key"
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(
                            ("direction", "payout"),
                            models.Q(("state__in", ["cancelled", "failed"]), _negated=True),
                        ),
                        fields=("tenant_id", "party_id", "period"),
                        name="operation_one_live_payout_per_period",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("amount_cents__gt", 0)), name="operation_amount_positive"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("recovery_applied_cents__gte", 0)),
                        name="operation_recovery_not_negative",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "state__in",
                                ["initiated", "submitted", "confirmed", "failed", "cancelled", "reversed"],
                            )
                        ),
                        name="operation_state_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("direction__in", ["payout", "collection"])),
                        name="operation_direction_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("provider_mode__in", ["sandbox", "production"])),
                        name="operation_mode_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("cancelled_at__isnull", True),
                                ("confirmed_at__isnull", True),
                                ("failed_at__isnull", True),
                                ("reversed_at__isnull", True),
                                ("state", "initiated"),
                                ("submitted_at__isnull", True),
                            ),
                            models.Q(
                                ("cancelled_at__isnull", True),
                                ("confirmed_at__isnull", True),
                                ("failed_at__isnull", True),
                                ("reversed_at__isnull", True),
                                ("state", "submitted"),
                                ("submitted_at__isnull", False),
                            ),
                            models.Q(
                                ("cancelled_at__isnull", True),
                                ("confirmed_at__isnull", False),
                                ("failed_at__isnull", True),
                                ("reversed_at__isnull", True),
                                ("state", "confirmed"),
                                ("submitted_at__isnull", False),
                            ),
                            models.Q(
                                ("cancelled_at__isnull", True),
                                ("confirmed_at__isnull", True),
                                ("failed_at__isnull", False),
                                ("reversed_at__isnull", True),
                                ("state", "failed"),
                            ),
                            models.Q(
                                ("cancelled_at__isnull", False),
                                ("confirmed_at__isnull", True),
                                ("failed_at__isnull", True),
                                ("reversed_at__isnull", True),
                                ("state", "cancelled"),
                            ),
                            models.Q(
                                ("cancelled_at__isnull", True),
                                ("confirmed_at__isnull", False),
                                ("failed_at__isnull", True),
                                ("reversed_at__isnull", False),
                                ("state", "reversed"),
                                ("submitted_at__isnull", False),
                            ),
                            _connector="OR",
                        ),
                        name="operation_stamps_match_state",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="PartyBalance",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=settld.core.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("tenant_id", models.CharField(db_collation="C", max_length=200)),
                ("party_id", models.CharField(db_collation="C", max_length=200)),
                ("currency", models.CharField(db_collation="C", max_length=3)),
                (
                    "provider_mode",
                    models.CharField(
                        choices=[("sandbox", "Sandbox"), ("production", "Production")],
                        db_collation="C",
                        max_length=20,
                    ),
                ),
                ("outstanding_cents", models.BigIntegerField(default=0)),
                ("updated_at", models.DateTimeField()),
            ],
            options={
                "verbose_name": "party balance",
                "db_table": "party_balance",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("tenant_id", "party_id", "currency", "provider_mode"),
                        name="balance_once_per_party",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("outstanding_cents__gte", 0)), name="balance_not_negative"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="PayoutOutcome",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=settld.core.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("tenant_id", models.CharField(db_collation="C", max_length=200)),
                ("payout_key", models.CharField(db_collation="C", max_length=900)),
                ("party_id", models.CharField(db_collation="C", max_length=200)),
                ("period", models.CharField(db_collation="C", max_length=7)),
                (
                    "kind",
                    models.CharField(
                        choices=[("operation", "Operation"), ("offset", "Offset")],
                        db_collation="C",
                        max_length=20,
                    ),
                ),
                ("provider_id", models.CharField(db_collation="C", max_length=200)),
                (
                    "requested_counterparty_ref",
                    models.CharField(blank=True, db_collation="C", default="", max_length=500),
                ),
                ("counterparty_ref", models.CharField(db_collation="C", max_length=600)),
                ("response", models.JSONField()),
                ("created_at", models.DateTimeField()),
                (
                    "operation",
                    models.OneToOneField(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="outcome",
                        to="moneyrails.operation",
                    ),
                ),
            ],
            options={
                "db_table": "payout_outcome",
            },
        ),
        migrations.CreateModel(
            name="ProviderEvent",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=settld.core.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("tenant_id", models.CharField(db_collation="C", max_length=200)),
                ("provider_id", models.CharField(db_collation="C", max_length=200)),
                (
                    "event_type",
                    models.CharField(
                        choices=[
                            ("initiated", "Initiated"),
                            ("submitted", "Submitted"),
                            ("confirmed", "Confirmed"),
                            ("failed", "Failed"),
                            ("cancelled", "Cancelled"),
                            ("reversed", "Reversed"),
                        ],
                        db_collation="C",
                        max_length=20,
                    ),
                ),
                ("event_id", models.CharField(blank=True, db_collation="C", default="", max_length=500)),
                ("dedupe_key", models.CharField(db_collation="C", max_length=600)),
                (
                    "provider_status",
                    models.CharField(blank=True, db_collation="C", default="", max_length=500),
                ),
                ("provider_ref", models.CharField(blank=True, db_collation="C", default="", max_length=500)),
                ("reason_code", models.CharField(blank=True, db_collation="C", default="", max_length=500)),
                ("at", models.DateTimeField()),
                ("payload", models.JSONField(null=True)),
                (
                    "outcome",
                    models.CharField(
                        choices=[("applied", "Applied"), ("noop", "Noop"), ("rejected", "Rejected")],
                        db_collation="C",
                        max_length=20,
                    ),
                ),
                ("refusal_code", models.CharField(blank=True, db_collation="C", default="", max_length=100)),
                ("source", models.CharField(db_collation="C", max_length=40)),
                ("received_at", models.DateTimeField()),
                (
                    "operation",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="events",
                        to="moneyrails.operation",
                    ),
                ),
            ],
            options={
                "verbose_name": "provider event",
                "db_table": "provider_event",
            },
        ),
        migrations.CreateModel(
            name="Movement",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=settld.core.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("tenant_id", models.CharField(db_collation="C", max_length=200)),
                (
                    "kind",
                    models.CharField(
                        choices=[("transfer", "Transfer"), ("return", "Return"), ("reversal", "Reversal")],
                        db_collation="C",
                        max_length=20,
                    ),
                ),
                ("provider_id", models.CharField(db_collation="C", max_length=200)),
                (
                    "provider_mode",
                    models.CharField(
                        choices=[("sandbox", "Sandbox"), ("production", "Production")],
                        db_collation="C",
                        max_length=20,
                    ),
                ),
                ("provider_ref", models.CharField(blank=True, db_collation="C", default="", max_length=500)),
                ("amount_cents", models.BigIntegerField()),
                ("currency", models.CharField(db_collation="C", max_length=3)),
                ("reference_type", models.CharField(db_collation="C", max_length=40)),
                ("reference_id", models.CharField(db_collation="C", max_length=900)),
                ("at", models.DateTimeField()),
                ("recorded_at", models.DateTimeField()),
                (
                    "operation",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="movements",
                        to="moneyrails.operation",
                    ),
                ),
                (
                    "provider_event",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="movements",
                        to="moneyrails.providerevent",
                    ),
                ),
            ],
            options={
                "db_table": "movement",
            },
        ),
        migrations.CreateModel(
            name="DispatchAttempt",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=settld.core.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("tenant_id", models.CharField(db_collation="C", max_length=200)),
                ("attempt", models.PositiveIntegerField()),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("dispatching", "Dispatching"),
                            ("in_doubt", "In Doubt"),
                            ("indeterminate", "Indeterminate"),
                            ("retryable", "Retryable"),
                            ("rejected", "Rejected"),
                            ("not_sent", "Not Sent"),
                            ("succeeded", "Succeeded"),
                        ],
                        db_collation="C",
                        max_length=20,
                    ),
                ),
                ("idempotency_key", models.CharField(db_collation="C", max_length=120)),
                ("lease_token", models.UUIDField()),
                ("lease_expires_at", models.DateTimeField(null=True)),
                ("next_check_at", models.DateTimeField(null=True)),
                ("check_count", models.PositiveIntegerField(default=0)),
                ("first_sent_at", models.DateTimeField(null=True)),
                ("was_in_doubt", models.BooleanField(default=False)),
                ("observed_ref", models.CharField(blank=True, db_collation="C", default="", max_length=500)),
                ("error", models.JSONField(null=True)),
                ("request", models.JSONField(default=dict)),
                ("answer", models.JSONField(null=True)),
                (
                    "caller_identity_hash",
                    models.CharField(blank=True, db_collation="C", default="", max_length=64),
                ),
                ("submitted_by", models.CharField(blank=True, db_collation="C", default="", max_length=200)),
                (
                    "submitted_by_key_id",
                    models.CharField(blank=True, db_collation="C", default="", max_length=200),
                ),
                ("resolved_by", models.CharField(blank=True, db_collation="C", default="", max_length=200)),
                (
                    "resolution_reason",
                    models.CharField(blank=True, db_collation="C", default="", max_length=500),
                ),
                ("created_at", models.DateTimeField()),
                ("updated_at", models.DateTimeField()),
                (
                    "operation",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="attempts",
                        to="moneyrails.operation",
                    ),
                ),
            ],
            options={
                "verbose_name": "dispatch attempt",
                "db_table": "dispatch_attempt",
                "indexes": [
                    models.Index(
                        condition=models.Q(("status__in", ["dispatching", "in_doubt"])),
                        fields=["next_check_at"],
                        name="attempt_due_for_check",
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("operation", "attempt"), name="attempt_number_once"),
                    models.UniqueConstraint(fields=("tenant_id", "idempotency_key"), name="attempt_key_once"),
                    models.UniqueConstraint(
                        condition=models.Q(("status__in", ["dispatching", "in_doubt", "indeterminate"])),
                        fields=("operation",),
                        name="attempt_one_open_per_operation",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "status__in",
                                [
                                    "dispatching",
                                    "in_doubt",
                                    "indeterminate",
                                    "retryable",
                                    "rejected",
                                    "not_sent",
                                    "succeeded",
                                ],
                            )
                        ),
                        name="attempt_status_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("attempt__gte", 1)), name="attempt_counts_from_one"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("resolved_by", ""),
                            models.Q(("resolved_by", models.F("submitted_by")), _negated=True),
                            _connector="OR",
                        ),
                        name="attempt_resolved_by_a_second_person",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ChargebackEntry",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=settld.core.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("tenant_id", models.CharField(db_collation="C", max_length=200)),
                ("party_id", models.CharField(db_collation="C", max_length=200)),
                ("currency", models.CharField(db_collation="C", max_length=3)),
                (
                    "provider_mode",
                    models.CharField(
                        choices=[("sandbox", "Sandbox"), ("production", "Production")],
                        db_collation="C",
                        max_length=20,
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("reversal", "Reversal"),
                            ("recovery", "Recovery"),
                            ("release", "Release"),
                            ("adjustment", "Adjustment"),
                        ],
                        db_collation="C",
                        max_length=20,
                    ),
                ),
                ("amount_cents", models.BigIntegerField()),
                ("payout_key", models.CharField(blank=True, db_collation="C", default="", max_length=900)),
                ("reason_code", models.CharField(blank=True, db_collation="C", default="", max_length=500)),
                ("note", models.CharField(blank=True, db_collation="C", default="", max_length=2000)),
                ("recorded_by", models.CharField(db_collation="C", max_length=200)),
                ("at", models.DateTimeField()),
                ("recorded_at", models.DateTimeField()),
                (
                    "reversal",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="repayments",
                        to="moneyrails.chargebackentry",
                    ),
                ),
                (
                    "operation",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="chargeback_entries",
                        to="moneyrails.operation",
                    ),
                ),
            ],
            options={
                "verbose_name": "chargeback entry",
                "verbose_name_plural": "chargeback entries",
                "db_table": "chargeback_entry",
                "indexes": [
                    models.Index(
                        fields=["tenant_id", "party_id", "currency", "provider_mode"], name="entry_of_party"
                    ),
                    models.Index(fields=["reversal"], name="entry_of_reversal"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("kind", "reversal")),
                        fields=("tenant_id", "operation"),
                        name="entry_one_reversal_per_operation",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("kind__in", ["recovery", "release"])),
                        fields=("tenant_id", "payout_key", "reversal", "kind"),
                        name="entry_once_per_payout_and_reversal",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("amount_cents__gt", 0)), name="entry_amount_positive"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("kind__in", ["reversal", "recovery", "release", "adjustment"])),
                        name="entry_kind_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("kind", "reversal"), ("operation__isnull", False), ("reversal__isnull", True)
                            ),
                            models.Q(
                                ("kind__in", ["recovery", "release"]),
                                ("reversal__isnull", False),
                                models.Q(("payout_key", ""), _negated=True),
                            ),
                            models.Q(("kind", "adjustment"), ("reversal__isnull", False)),
                            _connector="OR",
                        ),
                        name="entry_names_its_cause",
                    ),
                ],
            },
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="chargebackentry",
            trigger=pgtrigger.compiler.Trigger(
                name="append_only",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;",
                    hash="e5048d9f2540bd3c02a21c2afd1758354e574986",
                    operation="UPDATE OR DELETE",
                    pgid="pgtrigger_append_only_56d32",
                    table="chargeback_entry",
                    when="BEFORE",
                ),
            ),
        ),
        migrations.AddIndex(
            model_name="payoutoutcome",
            index=models.Index(fields=["tenant_id", "party_id", "period"], name="outcome_of_party"),
        ),
        migrations.AddConstraint(
            model_name="payoutoutcome",
            constraint=models.UniqueConstraint(
                fields=("tenant_id", "payout_key"), name="outcome_once_per_payout_key"
            ),
        ),
        migrations.AddConstraint(
            model_name="payoutoutcome",
            constraint=models.UniqueConstraint(
                condition=models.Q(("kind", "offset")),
                fields=("tenant_id", "party_id", "period"),
                name="outcome_one_offset_per_period",
            ),
        ),
        migrations.AddConstraint(
            model_name="payoutoutcome",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind__in", ["operation", "offset"])), name="outcome_kind_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="payoutoutcome",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("kind", "operation"), ("operation__isnull", False)),
                    models.Q(("kind", "offset"), ("operation__isnull", True)),
                    _connector="OR",
                ),
                name="outcome_operation_matches_kind",
            ),
        ),
        migrations.AddIndex(
            model_name="providerevent",
            index=models.Index(fields=["tenant_id", "received_at", "id"], name="event_by_arrival"),
        ),
        migrations.AddConstraint(
            model_name="providerevent",
            constraint=models.UniqueConstraint(
                condition=models.Q(("outcome", "rejected"), _negated=True),
                fields=("tenant_id", "operation", "dedupe_key"),
                name="event_once_unless_rejected",
            ),
        ),
        migrations.AddConstraint(
            model_name="providerevent",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "event_type__in",
                        ["initiated", "submitted", "confirmed", "failed", "cancelled", "reversed"],
                    )
                ),
                name="event_type_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="providerevent",
            constraint=models.CheckConstraint(
                condition=models.Q(("outcome__in", ["applied", "noop", "rejected"])),
                name="event_outcome_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="providerevent",
            constraint=models.CheckConstraint(
                condition=models.Q(("outcome", "rejected"), ("refusal_code", ""), _connector="XOR"),
                name="event_refusal_matches_outcome",
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="providerevent",
            trigger=pgtrigger.compiler.Trigger(
                name="append_only",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;",
                    hash="0e4e0efdcc855e15ec816a9c762a591e0b88a823",
                    operation="UPDATE OR DELETE",
                    pgid="pgtrigger_append_only_72940",
                    table="provider_event",
                    when="BEFORE",
                ),
            ),
        ),
        migrations.AddConstraint(
            model_name="movement",
            constraint=models.UniqueConstraint(fields=("operation", "kind"), name="movement_once_per_kind"),
        ),
        migrations.AddConstraint(
            model_name="movement",
            constraint=models.UniqueConstraint(
                condition=models.Q(
                    ("provider_mode", "production"), models.Q(("provider_ref", ""), _negated=True)
                ),
                fields=("tenant_id", "provider_id", "provider_ref", "kind"),
                name="movement_provider_ref_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="movement",
            constraint=models.CheckConstraint(
                condition=models.Q(("amount_cents__gt", 0)), name="movement_amount_positive"
            ),
        ),
        migrations.AddConstraint(
            model_name="movement",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("reference_type", ""), _negated=True),
                    models.Q(("reference_id", ""), _negated=True),
                ),
                name="movement_has_reference",
            ),
        ),
        migrations.AddConstraint(
            model_name="movement",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("kind", "reversal"), _negated=True),
                    ("provider_event__isnull", False),
                    _connector="OR",
                ),
                name="movement_reversal_has_event",
            ),
        ),
        migrations.AddConstraint(
            model_name="movement",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind__in", ["transfer", "return", "reversal"])),
                name="movement_kind_known",
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="movement",
            trigger=pgtrigger.compiler.Trigger(
                name="append_only",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;",
                    hash="2a0081fe7640c9b811867c1533a1ff8ce95d9fb9",
                    operation="UPDATE OR DELETE",
                    pgid="pgtrigger_append_only_9cc79",
                    table="movement",
                    when="BEFORE",
                ),
            ),
        ),
        Fence("moneyrailcontrols", keeps_rows=True),
        Fence("exposurecounter", keeps_rows=True),
        Fence("operation", keeps_rows=True),
        Fence("dispatchattempt", keeps_rows=True),
        Fence("providerevent", append_only=True),
        Fence("movement", append_only=True),
        Fence("payoutoutcome", keeps_rows=True),
        Fence("chargebackentry", append_only=True),
        Fence("partybalance", keeps_rows=True),
        Fence("connectaccount"),
    ]
