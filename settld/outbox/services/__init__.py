"""Verbs of the outbox: owe an effect, work it off, bring a dead letter back."""

from settld.outbox.services.drain import drain
from settld.outbox.services.enqueue import enqueue, requeue

__all__ = ["drain", "enqueue", "requeue"]
