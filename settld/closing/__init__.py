"""Closing: month close and reopen, party statements, and the instructions to pay them."""
