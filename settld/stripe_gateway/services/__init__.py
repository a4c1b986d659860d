"""The inbox's verbs."""
