"""What tests share: servers, databases, recording rails."""
