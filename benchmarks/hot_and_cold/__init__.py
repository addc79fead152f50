"""What a table with many ended requests costs, and what other layouts would cost."""
