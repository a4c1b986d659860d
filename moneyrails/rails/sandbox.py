"""The sandbox rail: no network, no money; the transfer is a name."""


def transfer_id(*, operation_id: str, provider_ref: str) -> str:
    """Name the pretended transfer: what the caller gave, else a name made from the operation."""
    return provider_ref or f"sim_submit_{operation_id}"
