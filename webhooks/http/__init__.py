"""One HTTP request that a hostile server can neither hold, swell, nor send elsewhere."""
