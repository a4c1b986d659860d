"""The agents workspace: who works and pays, with their wallets."""
