"""Metering: each billable use once, counted in the transaction of what it bills."""
