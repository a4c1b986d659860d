"""The PostgreSQL backend that carries the tenant scope and saves round trips."""
