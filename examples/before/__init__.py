"""The examples before whichopt."""
