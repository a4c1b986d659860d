"""The payment providers of checkout billing; nothing above knows one by name."""
