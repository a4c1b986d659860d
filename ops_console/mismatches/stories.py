"""What each kind of case means, in plain words: both sides, and what to do next.

`expected` and `actual` are patterns over the case's details: {name} ending in Cents is written as money.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Story:
    """How one kind of case is told."""

    title: str
    means: str
    advice: str
    expected: str = ""
    actual: str = ""
    sides: tuple[str, str] = ("Our books", "Payout")


_PROVIDER: Final = ("Our books", "Provider")
_GL: Final = ("GL batch", "Party statements")

STORIES: Final[dict[str, Story]] = {
    "missing_operation": Story(
        "Payout missing",
        "The closed month instructs this payout, and there is none.",
        "Open the statement and enqueue it. If it was paid by hand, resolve with the reference;"
        " if it is not to be paid, dismiss with the reason.",
        "{amountCents}",
        "No payout",
    ),
    "amount_mismatch": Story(
        "Amount differs",
        "The payout was made for another sum than the statement instructs.",
        "Compare statement and payout. A recovery that was withheld explains a lower sum; otherwise"
        " correct the difference with the next statement, and say so here.",
        "{expectedAmountCents}",
        "{actualAmountCents}",
    ),
    "currency_mismatch": Story(
        "Currency differs",
        "The payout is in another currency than the statement.",
        "Stop the payout if it has not left. If it has, agree with the party on the conversion.",
        "{expectedCurrency}",
        "{actualCurrency}",
    ),
    "terminal_failure": Story(
        "Payout failed or reversed",
        "The statement is due, and its payout ended without the money arriving.",
        "Read the reason on the payout. Mend the destination and pay over a new statement, or settle it"
        " outside and resolve with the reference.",
        "Paid",
        "{state}",
    ),
    "unexpected_operation": Story(
        "Payout without instruction",
        "There is a payout that no closed month instructs.",
        "Find out who enqueued it, in its audit. If it has not left, cancel it; else state what it pays.",
        "No instruction",
        "{amountCents}",
    ),
    "duplicate_expected": Story(
        "Instructed twice",
        "Two instructions of this month name the same payout. One payout was made, which is right.",
        "Check that the second instruction owes nothing of its own, then dismiss.",
        "One instruction",
        "A second one",
    ),
    "indeterminate_operation": Story(
        "Outcome unknown",
        "The provider has not said whether the money moved.",
        "Settle it in Unknown outcomes: ask the provider, or settle it by evidence."
        " It then leaves this queue at the next comparison.",
        "A clear answer",
        "None since {since}",
    ),
    "unreferenced_movement": Story(
        "Movement without statement",
        "Money moved, and no statement says what for.",
        "Find the statement that it belongs to and note it here before resolving.",
        "A statement that it settles",
        "{amountCents}",
    ),
    "provider_only_transfer": Story(
        "Transfer only at the provider",
        "The provider shows a transfer that our books do not know.",
        "Find out in the provider's dashboard who made it. If it is ours, record it; if not, take it back.",
        "Nothing",
        "{amountCents}",
        _PROVIDER,
    ),
    "missing_transfer": Story(
        "Transfer not at the provider",
        "Our books show a transfer, and the provider's statement does not.",
        "Ask the provider for the reference. Do not pay again before there is an answer.",
        "{amountCents}",
        "No such transfer",
        _PROVIDER,
    ),
    "transfer_mismatch": Story(
        "Transfer differs",
        "The provider's transfer is not the one that we sent.",
        "Compare both columns below; take the difference up with the provider.",
        "{expected.amountCents}",
        "{actual.amountCents}",
        _PROVIDER,
    ),
    "unrecorded_transfer": Story(
        "Transfer not recorded",
        "The provider carried the transfer out, and our payout does not say so.",
        "Look at the payout's attempts; bringing in the provider's event again records it.",
        "{state}",
        "{amountCents}",
        _PROVIDER,
    ),
    "unrecorded_reversal": Story(
        "Reversal not recorded",
        "The provider took money back, and our books still count it as paid.",
        "Bring in the provider's event again. A reversal in part is booked as an adjustment in Chargebacks.",
        "Nothing taken back",
        "{amountReversedCents} of {amountCents}",
        _PROVIDER,
    ),
    "reversal_only_here": Story(
        "Reversal only in our books",
        "We recorded a reversal that the provider does not show in full.",
        "Ask the provider; the party's recovery rests on this reversal.",
        "Reversed",
        "{amountReversedCents} of {amountCents}",
        _PROVIDER,
    ),
    "duplicate_transfer": Story(
        "Paid twice",
        "The provider shows a second transfer for one payout.",
        "Take the second transfer back at the provider, and keep its reference here.",
        "One transfer",
        "A second one: {amountCents}",
        _PROVIDER,
    ),
    "unmatched_provider_transfer": Story(
        "Transfer of no payout",
        "The provider told us of a transfer that names a payout which we do not have.",
        "Find out where it was made. If it is ours, state what it pays; if not, take it back.",
        "No such payout",
        "{amountCents}",
        _PROVIDER,
    ),
    "provider_transfer_mismatch": Story(
        "Transfer does not fit its payout",
        "The provider told us of a transfer that differs from the payout it names.",
        "Compare the transfer with the payout; nothing was recorded from it.",
        "As the payout says",
        "{amountCents}",
        _PROVIDER,
    ),
    "partial_provider_reversal": Story(
        "Reversed in part",
        "The provider took a part of a payout back. The payout stays as it is until a person decides.",
        "Book the part as an adjustment in Chargebacks, then resolve with its reference.",
        "{amountCents}",
        "{amountReversedCents} taken back",
        _PROVIDER,
    ),
    "provider_dispute": Story(
        "Disputed charge",
        "The buyer disputes the charge that this payout was paid from.",
        "Answer the provider before the date below. A dispute that is lost is booked in Chargebacks and"
        " withheld from the next payout.",
        "{amountCents}",
        "{disputedCents} disputed",
        _PROVIDER,
    ),
    "transfer_after_not_sent": Story(
        "Transfer after “not sent”",
        "An attempt was settled as not sent, and the provider has its transfer after all.",
        "Do not pay again. If a second payment left meanwhile, take one of the two back at the provider.",
        "Not sent",
        "{amountCents}",
        _PROVIDER,
    ),
    "second_provider_transfer": Story(
        "A second transfer",
        "The provider has another transfer for a payout that has one, or that was called off.",
        "Take the surplus transfer back at the provider, and keep its reference here.",
        "One transfer",
        "Another one",
        _PROVIDER,
    ),
    "gl_batch": Story(
        "GL batch at fault",
        "The month's GL batch is not the document that the close wrote, or does not hold together.",
        "Export nothing from it. Reopen the month and close it again; if the batch was changed in the"
        " database, find out by whom first.",
        sides=_GL,
    ),
    "party_statement": Story(
        "Party statement at fault",
        "A party's statement is not the document that the close wrote, belongs to another month, or rests on"
        " no ledger entries at all.",
        "Open the statement. One made by hand is dismissed with the reason it was made for; any other is"
        " derived anew when the month is reopened and closed again.",
        sides=_GL,
    ),
    "party_account_total": Story(
        "Account total differs",
        "A party's account adds up to another sum in the GL batch than in the statements.",
        "Compare the entries of both below; the missing or doubled one explains the difference.",
        "{glBatchCents}",
        "{partyStatementsCents}",
        _GL,
    ),
    "entry_coverage": Story(
        "Entry on one side only",
        "A ledger entry is in the GL batch or in the statements, and not in both.",
        "Open the entry in the journal below and see which side left it out.",
        sides=_GL,
    ),
    "ledger_drift": Story(
        "Ledger and GL batch differ",
        "The GL batch no longer says what the ledger says.",
        "Export nothing. The ledger is the truth: find out what changed after the close, then reopen the"
        " month and close it again.",
        "{ledgerCents}",
        "{glBatchCents}",
        ("Ledger", "GL batch"),
    ),
    "invariant": Story(
        "Invariant broken",
        "Something that must always be true of the books is not.",
        "Find the cause in the rows below before anything is corrected. Payouts that were stopped for it go"
        " again when a person lifts the stop in Controls.",
        "Holds",
        "{rowCount} rows break it",
        ("Must be", "Found"),
    ),
}
OTHER: Final = Story(
    "Difference",
    "Two sides differ in the figures below.",
    "Compare both sides and note what you found before closing the case.",
    "{expectedAmountCents}",
    "{actualAmountCents}",
    ("Expected", "Actual"),
)
