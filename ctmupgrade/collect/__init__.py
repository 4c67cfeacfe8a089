"""Asks all nodes and the control plane the probes' questions, and makes facts of the answers."""
