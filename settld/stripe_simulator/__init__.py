"""A stateful stand-in for Stripe, run as its own process on loopback.

It speaks enough of Stripe's HTTP API that the official SDK works against it unmodified, keeps its state in
one SQLite file, and adds a control door under `/_sim/` for tests and demos. The product never imports this
package, and this package imports nothing else of the project: they meet only over HTTP.
"""
