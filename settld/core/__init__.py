"""Common ground without models: what every room may lean on and which leans on none of them."""
