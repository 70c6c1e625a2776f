"""Search, confirm and both verdicts, on complete published tables whose truth is known by enumeration."""
