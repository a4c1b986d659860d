"""A world to click through, made through the public API: what the demo can do, any client can do.

One part is not: `agents_work` writes the history of agents' work, which lies in months that are over, by the
product's verbs on the deployment's database. Nothing else here touches Django or the database.
"""
