"""The fields that Stripe's own samples carry, to compare answers with."""

from typing import Any

FIELDS = {
    "transfer": "amount amount_reversed balance_transaction created currency description destination "
    "destination_payment id livemode metadata object reversals reversed source_transaction source_type "
    "transfer_group",
    "transfer_reversal": "amount balance_transaction created currency destination_payment_refund id metadata "
    "object source_refund transfer",
    "balance_transaction": "amount available_on balance_type created currency description exchange_rate fee "
    "fee_details id net object reporting_category source status type",
    "account": "business_profile business_type capabilities charges_enabled controller country created "
    "default_currency details_submitted email external_accounts future_requirements id metadata object "
    "payouts_enabled requirements settings tos_acceptance type",
    "charge": "amount amount_captured amount_refunded application application_fee application_fee_amount "
    "balance_transaction billing_details calculated_statement_descriptor captured created currency customer "
    "description disputed failure_balance_transaction failure_code failure_message fraud_details id livemode "
    "metadata object on_behalf_of outcome paid payment_intent payment_method payment_method_details "
    "receipt_email receipt_number receipt_url refunded refunds review shipping source_transfer "
    "statement_descriptor statement_descriptor_suffix status transfer_data transfer_group",
    "dispute": "amount balance_transactions charge created currency enhanced_eligibility_types evidence "
    "evidence_details id is_charge_refundable livemode metadata object payment_intent "
    "payment_method_details reason status",
    "balance": "available connect_reserved livemode object pending",
    "event": "api_version created data id livemode object pending_webhooks request type",
    "webhook_endpoint": "api_version application created description enabled_events id livemode metadata "
    "object status url",
}


def missing_fields(found: Any) -> list[str]:
    """The fields of its kind that an object lacks."""
    body = found if isinstance(found, dict) else found.to_dict()
    return [name for name in FIELDS[body["object"]].split() if name not in body]
