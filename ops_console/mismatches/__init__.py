"""Mismatches: the queue, one case and what people decide about it, in ones, in batches and by file."""
