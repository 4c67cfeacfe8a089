"""This machine's own shell and programs, ksctl among them."""
