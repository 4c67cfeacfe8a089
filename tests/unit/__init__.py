"""Values in, values out: mirrors core."""
