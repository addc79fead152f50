"""Values that describe a page: its URL in normal form, and the facts known of it."""
