"""The inbox in the admin: for looking, with one action that calls the service."""

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.urls import reverse

from settld.core import clock
from settld.stripe_gateway.models import StripeEvent, StripeEventConsumption
from settld.stripe_gateway.services.consumption import MAX_ATTEMPTS
from tests.stripe_gateway.conftest import event_body

pytestmark = pytest.mark.django_db
CONSUMPTIONS = "admin:stripe_gateway_stripeeventconsumption_changelist"


@pytest.fixture
def person(rf):
    """A request of a platform administrator."""
    user = get_user_model().objects.create_superuser(username="ada", email="a@example.com", password="x" * 12)
    user.platform_role = "admin"
    user.save()
    request = rf.post("/")
    request.user = user
    return request


def test_nobody_adds_changes_or_deletes(person):
    for model in (StripeEvent, StripeEventConsumption):
        page = admin.site._registry[model]
        assert not page.has_add_permission(person)
        assert not page.has_change_permission(person)
        assert not page.has_delete_permission(person)
        assert page.has_view_permission(person)


def test_the_action_gives_dead_consumptions_a_fresh_start_and_leaves_a_log(
    register, deliver, person, monkeypatch
):
    register("rails")
    register("checkout")
    deliver(event_body())
    StripeEventConsumption.objects.filter(consumer="rails").update(status="dead", attempts=MAX_ATTEMPTS)
    page = admin.site._registry[StripeEventConsumption]
    monkeypatch.setattr("settld.stripe_gateway.admin.messages.info", lambda *_: None)

    page.consume_again(person, StripeEventConsumption.objects.all())

    revived = StripeEventConsumption.objects.get(consumer="rails")
    assert (revived.status, revived.attempts) == ("pending", 0)
    assert revived.next_attempt_at <= clock.now()
    entry = LogEntry.objects.get()
    assert (entry.object_id, entry.user_id) == (str(revived.pk), person.user.pk)


def test_only_an_administrator_gets_the_action(person):
    page = admin.site._registry[StripeEventConsumption]
    assert "consume_again" in page.get_actions(person)
    person.user.platform_role = "support"
    assert "consume_again" not in page.get_actions(person)


def test_the_pages_render(register, deliver, client, person):
    register("rails")
    deliver(event_body())
    client.force_login(person.user)
    event = StripeEvent.objects.get()
    assert b"evt_1" in client.get(reverse("admin:stripe_gateway_stripeevent_changelist")).content
    page = client.get(reverse("admin:stripe_gateway_stripeevent_change", args=[event.pk]))
    assert page.status_code == 200
    assert b"rails" in page.content
    assert b"rails" in client.get(reverse(CONSUMPTIONS)).content
