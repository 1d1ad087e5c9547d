"""Many runs at once: which cells a sweep has, what became of them, and the processes that train them."""
