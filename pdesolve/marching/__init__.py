"""Marching in time with a network of one instant: the instant, its initial fit, the loop over steps, the solution."""
