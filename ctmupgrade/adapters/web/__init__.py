"""A page for a browser on this machine."""
