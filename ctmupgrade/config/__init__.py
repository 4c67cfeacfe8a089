"""cluster.yaml: read with its lines, checked strictly, made into a cluster of the core."""
