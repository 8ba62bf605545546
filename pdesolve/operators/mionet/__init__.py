"""MIONet: a branch for each input function and one for the parameters, multiplied, and a trunk.

    N(v₁, ..., vₙ)(x) = ∑ₖ b¹ₖ(v₁) ··· bⁿₖ(vₙ) tₖ(x) / √count + a

Good for operators of several functions that act as factors: a coefficient and a source, an initial state and boundary
data. Branches of inputs in which the operator is affine may be affine themselves, and so is the operator then, exactly.
With one input and no parameters it is deeponet.

Paper: Jin, Meng, L. Lu, "MIONet: Learning multiple-input operators via tensor product", 2022, arXiv 2202.06137.
Departures: the parameters of the equation are an input of their own; functions on another grid are interpolated to the
sensors; scaling by 1/√count; a large decoupled weight decay.

Needs: inputs on a grid, or parameters.
"""
