"""The outbox: effects owed, as rows with leases; Celery only rings the bell."""
