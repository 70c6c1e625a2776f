"""What stacking is worth for networks that a job describes by their layers."""
