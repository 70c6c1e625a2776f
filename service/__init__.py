"""The service: specs, stored results, evidence, and the API to them. Never imports torch."""
