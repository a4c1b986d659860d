"""Processes killed with SIGKILL at the worst moments, and what is left of the money afterwards."""
