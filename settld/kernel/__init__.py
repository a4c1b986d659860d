"""Agents, wallets, runs, settlements, holds, disputes: what work is worth, and proof of it."""
