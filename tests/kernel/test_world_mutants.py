"""The worlds can fail: each rule that is taken out of the product is found missing within a few of them."""

import re

import pytest

from moneyrails.services import chargebacks
from settld.closing import payouts_made
from settld.closing.queries import period_lines
from settld.kernel.queries import ref_lookup, refs
from settld.kernel.services import payables, payout_books, settling
from settld.ledger.services import journal, journal_writes
from tests.kernel.test_world_property import worlds

__all__ = ["worlds"]
SEEDS = range(11, 14)
STEPS = 40


def a_failed_payout_gives_its_money_back_twice(patch):
    give_back = payout_books.give_back

    def twice(**named):
        give_back(**named)
        return give_back(**named | {"operation_id": named["operation_id"] + "_again"})

    patch.setattr(payout_books, "give_back", twice)


def a_payee_gets_one_cent_more_than_was_released(patch):
    settle = settling.books.settle

    def generous(*, released_cents, refunded_cents, **named):
        more = min(1, refunded_cents)
        return settle(released_cents=released_cents + more, refunded_cents=refunded_cents - more, **named)

    patch.setattr(settling.books, "settle", generous)


def what_is_left_open_is_not_carried(patch):
    patch.setattr(period_lines, "carries", lambda **_: {})


def a_close_forgets_what_was_paid(patch):
    patch.setattr(payouts_made, "_registered", lambda **_: None)


def a_receipt_is_allocated_twice(patch):
    name, write, count = refs.allocation_id, payables._write, iter(range(1_000_000))
    patch.setattr(
        refs, "allocation_id", lambda ref, *, party_id: f"{name(ref, party_id=party_id)}~{next(count)}"
    )
    patch.setattr(payables, "_write", lambda row, given, **named: write(row, [*given, *given], **named))


def a_day_is_not_noted(patch):
    statement = journal_writes._STATEMENT
    forgetful = statement.replace("VALUES (''), (own.day)", "VALUES ('')")
    assert forgetful != statement
    patch.setattr(journal_writes, "_STATEMENT", forgetful)


def a_dispute_keeps_nothing_from_being_paid(patch):
    reason = ref_lookup.blocked_reason
    patch.setattr(ref_lookup, "blocked_reason", lambda **named: reason(**named | {"dispute_status": None}))


def a_reversed_payout_frees_what_it_rested_on(patch):
    return_ = payables.return_

    def freeing(*, tenant_id, operation_id, now, **more):
        done = return_(tenant_id=tenant_id, operation_id=operation_id, now=now, **more)
        with payables.connection.cursor() as cursor:
            cursor.execute(payables._FREE, [now, tenant_id, operation_id])
        return done

    patch.setattr(payables, "return_", freeing)


def a_released_recovery_is_not_owed_again(patch):
    patch.setattr(chargebacks, "release_recovery", lambda *_args, **_named: None)


def a_statement_that_was_reopened_is_paid(patch):
    from moneyrails.services import enqueue, kernel_payouts

    patch.setattr(kernel_payouts, "_require_standing", lambda *_args, **_named: None)
    patch.setattr(enqueue, "_require_closed", lambda _subject: [])


def a_posting_loses_its_shares(patch):
    described = journal._described

    def forgetful(tenant_id, drafts, hashes, now):
        content = described(tenant_id, drafts, hashes, now)
        if any(draft.entry_id.startswith("man_") for draft in drafts):
            content["shares"] = content["shares"][1:]
        return content

    patch.setattr(journal, "_described", forgetful)


def a_month_is_stated_without_the_money_that_came_last(patch):
    sums = period_lines.sums

    def short(**named):
        found = sums(**named)
        for own in found.values():
            if own.by_account.get("acct_operator_payable", 0) < -1:
                own.by_account["acct_operator_payable"] += 1
                own.by_account["acct_customer_escrow"] = own.by_account.get("acct_customer_escrow", 0) - 1
        return found

    patch.setattr(period_lines, "sums", short)


SAYS = "says .*, not"
MUTANTS = [
    (a_failed_payout_gives_its_money_back_twice, "has .*, not"),
    (a_payee_gets_one_cent_more_than_was_released, "has .*, not"),
    (what_is_left_open_is_not_carried, f"{SAYS}|no statement"),
    (a_close_forgets_what_was_paid, SAYS),
    (a_receipt_is_allocated_twice, "payout_references_add_up"),
    (a_day_is_not_noted, "ledger_balance_equals_postings"),
    (a_dispute_keeps_nothing_from_being_paid, "was not refused"),
    (a_reversed_payout_frees_what_it_rested_on, "payout_references_follow_state"),
    (a_released_recovery_is_not_owed_again, "owes"),
    (a_statement_that_was_reopened_is_paid, "was not refused"),
    (a_posting_loses_its_shares, "the database says .*shares"),
    (a_month_is_stated_without_the_money_that_came_last, f"{SAYS}|closed_month_equals_ledger"),
]


@pytest.mark.parametrize(("mutant", "found"), MUTANTS, ids=[row[0].__name__ for row in MUTANTS])
def test_a_broken_rule_is_found(worlds, monkeypatch, mutant, found):
    from tests.kernel.world_stage import Found

    mutant(monkeypatch)
    told = ""
    for seed in SEEDS:
        try:
            worlds(seed, STEPS, tenants=1)
        except Found as caught:
            told = str(caught)
            break
    assert re.search(found, told.partition("\n")[0]), told or f"{STEPS} steps of {SEEDS} found nothing"
