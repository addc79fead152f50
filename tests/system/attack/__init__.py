"""Attack a parser from one hostile site, and measure what its neighbours notice."""
