"""Controls, payouts, operations, dispatch attempts, provider events, Connect accounts, chargebacks."""
