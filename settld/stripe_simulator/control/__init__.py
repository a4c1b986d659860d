"""The control door under `/_sim/`: JSON in, JSON out, for tests and demos."""
