"""The workspace of Stripe Connect accounts."""
