"""Localised neural operator: Fourier layers beside kernels of short reach and learned derivatives.

    v' = σ(K v + I v + D v + W v),   (K v)^_k = R_k v^_k for few modes k,
    (I v)(x) = ∫ κ(y) v(x + y) dy, κ(y) = 0 for |y| ≥ r,   (D v)(x) ≈ B · ∇v(x)

Kernels and derivatives have their place in space, not on the grid: on a finer grid they are sampled anew, so that
outcomes converge as the grid is refined. Good for what is of short reach and shorter than the waves that are kept.
Derivatives of jumps have no limit: where coefficients jump take `kernels` integral. With both a training step costs
three times that of fno, and far finer grids cost more, since kernels cover more of their points.

Paper: Liu-Schiaffini, Berner, Bonev, Kurth, Azizzadenesheli, Anandkumar, "Neural Operators with Localized Integral and
Differential Kernels", ICML 2024, arXiv 2402.16845. The network is neuraloperator's (arXiv 2412.10354) Fourier neural
operator whose layers have these kernels beside their waves. Departures from that package's LocalNO, which one layer is
tested against: its kernels are stored for one number of points, end with zeros on periodic axes too and exist in the
plane alone, and it needs torch-harmonics; here they are right at any resolution and boundary, on one to three axes,
and need nothing more. As in fno each layer has a pointwise network behind it.

Needs: data on a grid of even spacing, the same kind of grid in training and use, with at least as many points along
each axis as modes, and so many that points lie within the reach of kernels.
"""
