"""The one file (scripts/build) in narrow places. scripts/test --onefile runs these; the other lanes do not see them."""
