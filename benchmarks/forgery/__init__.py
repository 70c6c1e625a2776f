"""Can a report be forged, and is a forgery found?"""
