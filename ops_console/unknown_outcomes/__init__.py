"""The queue of payouts whose outcome nobody knows, and the three acts on each."""
