"""The usage workspace: what a tenant used of its plan, what that costs, and the invoice drafts."""
