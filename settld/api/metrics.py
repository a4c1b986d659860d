"""GET /metrics: counters of all workers, and gauges computed for the caller's tenant alone.

The gauges live in a registry made for the one request, so a scrape never shows another tenant's
values. Rooms supply groups of samples; a group that fails is left out and counted.
"""

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

import structlog
from django.db import connection
from django.http import HttpResponse
from prometheus_client import REGISTRY, CollectorRegistry, Counter, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from settld.api import openapi
from settld.api.exchange import exchange
from settld.api.requests import OpsRequest
from settld.api.views import OpsView
from settld.core import tenancy, transactions
from settld.core.errors import Forbidden

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
STATEMENT_TIMEOUT_MS = 2_000
CACHE_SECONDS = 15.0
NOTE_SECONDS = 3600.0
GROUP_ERRORS = Counter("metrics_group_error_total", "Gauge groups left out", ["group"])
log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Sample:
    """One gauge value."""

    name: str
    value: float
    labels: dict[str, str] = field(default_factory=dict)


class GaugeGroup(Protocol):
    """Computes one group of gauges for the scope in force."""

    def __call__(self) -> Iterable[Sample]: ...


gauge_groups: dict[str, GaugeGroup] = {}

# Every gauge is present at 0, so that an alert rule never meets a missing series.
ALWAYS: tuple[Sample, ...] = (
    *(
        Sample(name, 0)
        for name in (
            "worker_outbox_pending_total_gauge", "worker_deliveries_pending_total_gauge",
            "delivery_dlq_pending_total_gauge", "ingest_rejected_gauge", "replay_mismatch_gauge",
            "disputes_open_gauge", "disputes_over_sla_gauge", "disputes_expired_window_open_gauge",
            "arbitration_over_sla_gauge", "settlement_hold_oldest_age_seconds_gauge",
            "settlement_holds_over_24h_gauge",
        )
    ),
    *(Sample("deliveries_pending_gauge", 0, {"state": state}) for state in ("pending", "failed")),
    Sample("settlement_holds_open_gauge", 0, {"status": "HELD"}),
    *(
        Sample("settlement_hold_age_seconds_bucket", 0, {"le": bound})
        for bound in ("3600", "21600", "86400", "604800", "2592000", "+Inf")
    ),
    *(
        Sample(name, 0, {"kind": kind})
        for name in (
            "maintenance_last_run_unixtime",
            "maintenance_last_success_unixtime",
            "maintenance_last_run_ok_gauge",
        )
        for kind in ("retention_cleanup", "finance_reconcile", "money_rails_reconcile")
    ),
)  # fmt: skip

_noted: dict[str, float] = {}
_cache: dict[tuple[str, bool], tuple[float, bytes]] = {}


class Metrics(OpsView):
    """GET /metrics"""

    scopes = {"GET": ("ops_read",)}

    @openapi.describe(
        "Counters and gauges in the Prometheus text format",
        answers={200: openapi.TEXT},
        answer_type="text/plain",
        parameters=[openapi.query("scope", openapi.one_of("platform"), "platform: gauges over all tenants")],
    )
    def get(self, request: OpsRequest) -> HttpResponse:
        is_platform = request.GET.get("scope") == "platform"
        if is_platform and not request.principal.is_platform:
            raise Forbidden("missing_scope")
        if is_platform:
            _note(request)
        return HttpResponse(
            _counters() + _gauges(request.tenant_id, is_platform=is_platform), content_type=CONTENT_TYPE
        )


def _note(request: OpsRequest) -> None:
    """Audit who reads over all tenants, once an hour for each in each process: a scraper comes often."""
    who, now = request.principal.principal_id, time.monotonic()
    if now - _noted.get(who, -NOTE_SECONDS) < NOTE_SECONDS:
        return
    exchange.note_platform_read(request.principal, request_id=request.request_id, target_id="/metrics")
    if len(_noted) > 1000:
        _noted.clear()
    _noted[who] = now


def _counters() -> bytes:
    if not os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        return bytes(generate_latest(REGISTRY))
    shared = CollectorRegistry()
    MultiProcessCollector(shared)  # type: ignore[no-untyped-call]
    return bytes(generate_latest(shared))


def _gauges(tenant_id: str, *, is_platform: bool) -> bytes:
    key = ("" if is_platform else tenant_id, is_platform)
    made_at, text = _cache.get(key, (0.0, b""))
    if text and time.monotonic() - made_at < CACHE_SECONDS:
        return text
    samples = {(sample.name, *sorted(sample.labels.items())): sample for sample in ALWAYS}
    for name, group in gauge_groups.items():
        for sample in _computed(name, group, is_platform=is_platform):
            samples[(sample.name, *sorted(sample.labels.items()))] = sample
    text = _rendered(samples.values())
    if len(_cache) > 1000:
        _cache.clear()
    _cache[key] = (time.monotonic(), text)
    return text


def _computed(name: str, group: GaugeGroup, *, is_platform: bool) -> list[Sample]:
    try:
        if is_platform:
            with tenancy.platform_scope(reason="metrics"):
                return _in_time(group)
        return _in_time(group)
    except Exception as error:  # whatever it is, the other groups are still true
        GROUP_ERRORS.labels(group=name).inc()
        log.warning("metrics_group_failed", group=name, error=type(error).__name__)
        return []


def _in_time(group: GaugeGroup) -> list[Sample]:
    with transactions.atomic():
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = {STATEMENT_TIMEOUT_MS}")
        return list(group())


def _rendered(samples: Iterable[Sample]) -> bytes:
    """Write samples as text, without prometheus_client's Gauge, whose values all workers would share."""
    families: dict[str, GaugeMetricFamily] = {}
    for sample in sorted(samples, key=lambda s: s.name):
        names = sorted(sample.labels)
        if sample.name not in families:
            families[sample.name] = GaugeMetricFamily(
                sample.name, sample.name.replace("_", " "), labels=names
            )
        families[sample.name].add_metric([sample.labels[name] for name in names], sample.value)
    registry = CollectorRegistry()
    registry.register(_Fixed(list(families.values())))
    return bytes(generate_latest(registry))


class _Fixed(Collector):
    """A collector of values that are already known."""

    def __init__(self, families: list[GaugeMetricFamily]) -> None:
        self.families = families

    def collect(self) -> Iterable[Metric]:
        return self.families
