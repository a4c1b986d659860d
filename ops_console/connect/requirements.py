"""What Stripe asks for, in plain words. What we have no words for is spelt out of its own name."""

import re
from typing import Final

_EXACT: Final[dict[str, str]] = {
    "external_account": "A bank account to pay out to",
    "business_type": "Whether it is a person or a company",
    "business_profile.mcc": "The kind of business (category code)",
    "business_profile.url": "The website of the business",
    "business_profile.name": "The name that customers know",
    "business_profile.product_description": "A description of what is sold",
    "business_profile.support_email": "An email address for customers",
    "business_profile.support_phone": "A phone number for customers",
    "business_profile.annual_revenue": "The yearly revenue",
    "business_profile.estimated_worker_count": "The number of people who work there",
    "company.name": "The company's legal name",
    "company.tax_id": "The company's tax number",
    "company.registration_number": "The company's registration number",
    "company.phone": "The company's phone number",
    "company.structure": "The company's legal form",
    "company.owners_provided": "A statement that every owner is named",
    "company.directors_provided": "A statement that every director is named",
    "company.executives_provided": "A statement that every executive is named",
    "company.verification.document": "A document that proves the company",
    "documents.bank_account_ownership_verification.files": "A proof that the bank account is theirs",
    "documents.proof_of_registration.files": "A proof of registration",
}
_OF_SOMEONE: Final[dict[str, str]] = {
    "first_name": "first name",
    "last_name": "last name",
    "dob": "date of birth",
    "address": "address",
    "email": "email address",
    "phone": "phone number",
    "id_number": "identity number",
    "ssn_last_4": "last four digits of the social security number",
    "nationality": "nationality",
    "political_exposure": "political exposure",
    "relationship": "role in the business",
    "verification.document": "identity document",
    "verification.additional_document": "second document, such as a proof of address",
    "verification.proof_of_liveness": "proof of being there in person",
}
_SOMEONE: Final = (
    (re.compile(r"individual\.(.+)"), "The person's"),
    (re.compile(r"company\.(.+)"), "The company's"),
    (re.compile(r"representative\.(.+)"), "The representative's"),
    (re.compile(r"(?:owners|directors|executives|persons?)(?:\.|_)[^.]*\.?(.+)"), "Another person's"),
)
_REASONS: Final[dict[str, str]] = {
    "requirements.past_due": "Something that Stripe asked for is overdue",
    "requirements.pending_verification": "Stripe is checking what was handed in",
    "action_required.requested_capabilities": "A capability has to be asked for again",
    "application_deauthorized": "The account has taken our permission back",
    "listed": "It may be on a list of prohibited persons or companies; Stripe is looking",
    "platform_paused": "Our platform has paused it",
    "rejected.fraud": "Stripe suspects fraud",
    "rejected.incomplete_verification": "It was never verified in full",
    "rejected.listed": "It is on a list of prohibited persons or companies",
    "rejected.platform_fraud": "Our platform reported fraud",
    "rejected.platform_other": "Our platform rejected it",
    "rejected.terms_of_service": "It breaks Stripe's terms",
    "rejected.other": "Stripe rejected it for a reason of its own",
    "under_review": "Stripe is reviewing it",
    "other": "Stripe does not say why",
}


NOTHING_HANDED_IN: Final = "Its details, to begin with"


def words(requirement: str) -> str:
    """Say what a requirement wants."""
    if requirement in _EXACT:
        return _EXACT[requirement]
    if requirement.startswith("tos_acceptance"):
        return "Acceptance of Stripe's terms"
    for pattern, whose in _SOMEONE:
        if (match := pattern.fullmatch(requirement)) is not None:
            return f"{whose} {_of_someone(match[1])}"
    return _plain(requirement)


def _of_someone(rest: str) -> str:
    for name, said in _OF_SOMEONE.items():
        if rest == name or rest.startswith(f"{name}."):
            return said
    return _plain(rest)[:1].lower() + _plain(rest)[1:]


def _plain(name: str) -> str:
    text = re.sub(r"[._]+", " ", name).strip()
    return text[:1].upper() + text[1:]


def each(requirements: list[str]) -> list[str]:
    """Say what several want, each thing once."""
    return list(dict.fromkeys(words(requirement) for requirement in requirements))


def short(requirements: list[str], *, most: int = 2) -> str:
    """Name the first few and count the rest."""
    said = each(requirements)
    rest = len(said) - most
    return "; ".join(said[:most]) + (f"; {rest:,} more" if rest > 0 else "")


def reason(disabled_reason: str) -> str:
    """Say why Stripe keeps an account shut."""
    return _REASONS.get(disabled_reason) or _plain(disabled_reason)
