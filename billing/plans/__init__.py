"""What a tenant has bought: the catalog, the tenant's plan and its overrides."""
