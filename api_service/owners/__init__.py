"""What an owner has: what it uses of its limits, and the deletion of all that is its own."""
