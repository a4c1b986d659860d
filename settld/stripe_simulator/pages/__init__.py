"""The pages that people see at Stripe: checkout, payment links, the customer portal."""
