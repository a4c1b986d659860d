"""Controls: the rules over a tenant's payouts, how much of them is used, who changed them, the stop."""
