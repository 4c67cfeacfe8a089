"""The state folder and the backups on this machine's disk: durable, locked, private."""
