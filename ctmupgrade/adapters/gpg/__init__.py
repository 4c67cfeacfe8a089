"""Verifies a signed archive with gpg, and reads OpenPGP packets itself."""
