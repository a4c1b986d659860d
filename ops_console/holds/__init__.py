"""The holds workspace: money set aside for tool calls until its challenge window is over."""
