"""The audit chain: append-only, hash-chained per tenant, written in the transaction of the effect."""
