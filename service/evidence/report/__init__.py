"""The evidence as one file: its document, its page and figures, how it is read back and verified."""
