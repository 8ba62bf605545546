"""Time integrators and elliptic solves on grids: exponential steps, the method of lines, sparse and spectral solves."""
