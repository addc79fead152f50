"""Parse pages without harm to this process: in children with limits, if a page needs them."""
