"""Values to text: documents for programs, lines and boards for people. Nothing is decided here."""
