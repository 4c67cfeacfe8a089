"""What ``scripts/bench`` runs: this program beside others, in one go. Nothing here is a test."""
