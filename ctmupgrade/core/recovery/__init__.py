"""What is wrong with a cluster, and the way back."""
