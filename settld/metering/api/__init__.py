"""The routes of metering."""
