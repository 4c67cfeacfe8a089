"""One function per command. The only place where adapters are chosen."""
