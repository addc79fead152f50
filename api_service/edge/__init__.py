"""Handle what happens to every HTTP request, whatever its route."""
