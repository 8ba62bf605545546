"""POD-DeepONet: a branch reads functions at sensors; its outputs are coefficients of modes of the training data.

    N(v)(x) = φ₀(x) + ∑ₖ bₖ(v(s₁), ..., v(sₘ)) σₖ φₖ(x)

φ₀ is the mean of the training targets, φₖ their leading principal components (proper orthogonal decomposition), σₖ the
deviations of their coefficients. Good for smooth outputs that few modes span, and where data are few: nothing is
learnt of the outputs' shapes. What lies outside of the modes' span cannot be predicted; the run says how much it is.

Paper: L. Lu et al., "A comprehensive and fair comparison of two neural operators (with practical extensions) based on
FAIR data", 2022, arXiv 2111.05512. Departures: modes are found in one pass through the data in bounded memory, and are
orthonormal in integrals over the domain; all channels share the coefficients; σₖ scales the branch's outputs; modes
are interpolated to other places by cubic polynomials.

Needs: targets on one grid; inputs on a grid, or parameters alone. See also deeponet, whose trunk is trained.
"""
