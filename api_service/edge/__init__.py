"""What happens to every http request."""
