"""A whole deployment in one process on a virtual clock: people, workers, provider, deaths, drawn by a seed.

`python -m tests.simulation --steps 100000 --seed 7` runs it by hand; an equal seed is an equal run.

- `simulation` draws the steps, asks the checks after each, and keeps the log of what was done
- `people` work through the API, `machines` are our loops and the post, `nature` is what the provider does
- `provider` is the real Stripe simulator, reached by a function call in place of a socket
- `fates` kills a piece of work at a failpoint, or stalls it there while others go on
- `checks` is what must hold after every step, `ending` what must hold when all has come to rest
"""
