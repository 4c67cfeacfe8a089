"""What is decided, as values: no input or output, no clock, and nothing but the standard library."""
