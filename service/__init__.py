"""What may be asked, what was found, what follows from it, and the doors to it. Never imports torch."""
