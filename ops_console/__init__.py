"""The operations console: pages for people, over the same verbs as the API. It owns no row."""
