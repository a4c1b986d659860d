"""One adapter per kind of provider, behind one Protocol; no transaction is open in here."""
