"""A world to click through, made through the public API only.

Nothing here touches Django or the database: what the demo can do, any client can do.
"""
