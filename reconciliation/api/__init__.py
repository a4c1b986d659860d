"""The routes of this room."""
