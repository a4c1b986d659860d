"""Who may do what on the kernel's routes (kernel spec 2.1)."""

from typing import Final

READ: Final = ("ops_read", "finance_read", "audit_read")
WRITE: Final = ("ops_write", "finance_write")
OPS_READ: Final = ("ops_read",)
OPS_WRITE: Final = ("ops_write",)
FINANCE_READ: Final = ("finance_read",)
