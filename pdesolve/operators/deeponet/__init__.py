"""DeepONet: a branch reads functions at sensors, a trunk reads coordinates; their product is the output there.

    N(v)(x) = ∑ₖ bₖ(v(s₁), ..., v(sₘ)) tₖ(x) / √count + a

Good for outputs that few functions span, for values at any places, and for training on some points of each field.
Moving fronts need many functions; with few data of coefficients that jump, Fourier methods are better.

Papers: L. Lu, Jin, Pang, Zhang, Karniadakis, "Learning nonlinear operators via DeepONet", Nature Machine Intelligence 3
(2021) 218, arXiv 1910.03193; L. Lu et al., "A comprehensive and fair comparison of two neural operators", 2022, arXiv
2111.05512, whose harmonic features, hard boundary values and convolutional branches are settings here. Departures:
functions on another grid are interpolated to the sensors; scaling by 1/√count; a large decoupled weight decay.

Needs: inputs on a grid, or parameters alone. See also pod_deeponet (modes of the training data in place of the trunk)
and mionet (a branch for each input).
"""
