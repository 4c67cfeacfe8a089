"""What must be true before anything is changed: one function a check, and how a finding reads."""
