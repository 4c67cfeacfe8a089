"""Steps, and the strategies that make a plan of them."""
