"""What knows one outside thing each: SSH, this machine, GnuPG, the disk. Imports neither actions nor the loop."""
