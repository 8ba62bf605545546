"""Codomain attention neural operator: attention between variables, each of them a function.

    t_i ← t_i + Σ_j softmax_j(τ ∫ (Q t_i)·(K t_j) dx) V t_j,   t_i ← t_i + M t_i,   Q, K, V, M Fourier layers

The weights are the same for all variables, so couplings are learned apart from what each variable does by itself. For
systems of several variables; of one variable it is a Fourier neural operator in other clothes.

Papers: Rahman, George, Elleithy, Leibovici, Li, Bonev, White, Berner, Yeh, Kossaifi, Azizzadenesheli, Anandkumar,
"Pretraining Codomain Attention Neural Operators for Solving Multiphysics PDEs", NeurIPS 2024, arXiv 2403.12553, in the
neuraloperator package (arXiv 2412.10354), whose model is used. Departures: the integral is a mean over points, so that
attention is the same at all resolutions; a token's own encoding is a function that does not change with the grid;
several frames of a component are one token; tokens are not normalised by default; spectral convolutions as in `fno`.

Needs: data on a regular grid with at least as many points along each axis as modes.
"""
