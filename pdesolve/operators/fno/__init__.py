"""Fourier neural operator: layers that mix all places of a regular grid by a few Fourier modes.

    v' = σ(K v + W v),   (K v)^_k = R_k v^_k for |k| ≤ modes / 2, else 0

Good for smooth fields, periodic ones above all, at any resolution of the grid; sharp fronts need more modes.

Papers: Li, Kovachki, Azizzadenesheli, Liu, Bhattacharya, Stuart, Anandkumar, "Fourier Neural Operator for Parametric
Partial Differential Equations", ICLR 2021, arXiv 2010.08895; Kossaifi et al., "A Library for Learning Neural
Operators", 2024, arXiv 2412.10354, whose model is used. Departures: coordinates enter as channels of our own, the
cosine and sine of periodic ones, so that places mean the same at any resolution; spectral convolutions are ours, which
are right in float64, under bfloat16 and on axes of odd size, and take half to four fifths of the time.

Needs: data on a regular grid with at least as many points along each axis as modes.
"""
