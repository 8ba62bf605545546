"""U-Net between functions: convolutions whose kernels have a fixed place in space, at several scales.

    κ * v (x) = Σ_l θ_l ∫ φ_l(y) v(x + y) dy,   ũ = P u on the grids of the scales below,   μ, σ² by integrals

On the grid that it was trained on it is the usual U-Net of residual blocks, with its speed. On another grid the kernels
of the finest scale are sampled anew, and the coarser scales keep their grids of fixed spacing, so that outcomes
converge as the grid is refined. A grid that is coarser than the one of training is refined to that first.

Good for local features: fronts, jumps of coefficients, boundaries, and for many steps in time; a strong first choice on
regular grids. Smooth periodic fields of which there are few samples are better served by fno.

Papers: Ronneberger, Fischer, Brox, "U-Net", MICCAI 2015, arXiv 1505.04597; Gupta, Brandstetter, "Towards
Multi-spatiotemporal-scale Generalized PDE Modeling", 2022, arXiv 2209.15616 (the residual blocks, parameters that scale
and shift); Berner, Liu-Schiaffini, Kossaifi, Duruisseaux, Bonev, Azizzadenesheli, Anandkumar, "Principled Approaches
for Extending Neural Architectures to Function Spaces for Operator Learning", 2025, arXiv 2506.10973. Departures: the
coarser scales are of fixed spacing; resampling is band-limited in place of strides; integrals end at boundaries, or
functions are extended over them.

Needs: data on a regular grid of even spacing, the same kind of grid in training and use.
"""
