"""Questions that change nothing: probes, the parsers of their answers, and the facts made of them."""
