"""Brings messages to receivers of other machines: none of them ever stops or delays a run."""
