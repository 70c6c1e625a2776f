"""What several benchmarks use; it imports none of them."""
