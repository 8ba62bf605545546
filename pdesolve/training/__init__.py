"""Training: the one loop, budgets and run folders."""
