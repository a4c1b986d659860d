"""A bare Django project: no middleware, no authentication, no rules; only the rows. Used by nothing else."""
