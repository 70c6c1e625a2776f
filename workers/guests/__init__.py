"""A person's own training function: its run, its children, its rehearsal. Nobody rewrites it for us."""
