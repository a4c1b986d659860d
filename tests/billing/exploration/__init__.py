"""All orders of what may happen around a checkout, each tried on the real code, database and provider.

- `stage` is one deployment in one process on a virtual clock; it can be wound back to any earlier moment,
  here and at the provider, by savepoints: so orders share their common beginnings
- `moves` are what may happen: people, Stripe's post, our loops, deaths
- `truth` is what must hold after every move, and what a story must have come to when it is over
"""
