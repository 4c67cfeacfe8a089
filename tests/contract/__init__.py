"""The same suite over three kinds of node."""
