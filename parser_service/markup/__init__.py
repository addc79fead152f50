"""Turn bytes into a document: kind, encoding, and the parts that say something of the page."""
