"""The doors: what a request may ask, one file a subject."""
