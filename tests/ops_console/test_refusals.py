"""Refusals in the console: what happened, what to do, and figures as people write them"""

from importlib import import_module

from ops_console import advice, errors
from settld.core.errors import Refusal


class Held(Refusal):
    """A refusal with every kind of detail."""

    code = "PAYOUT_HOLDBACK_ACTIVE"
    message = "payout holdback is active"


def facts_of(**details):
    shown = errors.shown(Held(details=details), request_id="req_1")
    return [(fact.label, fact.value) for fact in shown.facts]


def test_a_refusal_says_what_to_do():
    shown = errors.shown(Held(), request_id="req_1")

    assert shown.text == "Payout holdback is active."
    assert shown.next_step == "Wait until then: it is the end of the challenge window."


def test_a_code_without_advice_adds_nothing():
    assert advice.next_step("SCHEMA_INVALID") == ""


def test_every_advice_is_about_a_code_that_exists():
    import_module("settld.urls")  # with it, every refusal that a page can meet

    def codes(refusal):
        return {refusal.code}.union(*(codes(child) for child in refusal.__subclasses__()))

    assert set(advice.NEXT) - codes(Refusal) == set()


def test_details_are_written_for_people():
    assert facts_of(payableAfter="2027-01-01T00:00:00.000Z") == [("Payable after", "2027-01-01 00:00:00 UTC")]
    assert facts_of(payoutAmountCents=600_000, currency="EUR") == [("Payout amount", "6,000.00 EUR")]
    assert facts_of(limitCents=5) == [("Limit", "0.05 USD")]


def test_details_that_only_look_like_an_instant_or_an_amount_stay_as_they_are():
    assert facts_of(expiresAt="soon", flatCents=True, gone=None) == [
        ("Expires at", "soon"),
        ("Flat cents", "yes"),
    ]
