"""Count the bytes that each owner stores: differences, and the sums into which they are folded."""
