"""A node over SSH; the only room that knows paramiko."""
