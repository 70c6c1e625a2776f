"""AdaBelief against four others on small kinds of what its paper trained, tuned on equal terms."""
