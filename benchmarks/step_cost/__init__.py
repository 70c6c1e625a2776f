"""What a step of each optimizer of the catalog costs, and what state it keeps."""
