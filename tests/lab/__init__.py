"""Real nodes on one machine: systemd, sshd, sudo and reboots in network namespaces of their own.

See README.md beside this file, ``scripts/lab`` and :class:`tests.lab.cluster.Lab`.
"""
