"""What parties owe after reversals: the accounts, their ledgers, and taking an amount off."""
