"""The command line: parse, call one function of ``commands``, render, exit code. Decides nothing."""
