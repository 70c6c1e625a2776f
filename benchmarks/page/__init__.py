"""What the page costs the service and whoever looks at it."""
