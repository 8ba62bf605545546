"""CAPE: a base network that is told the parameters of the equation by a proposal of the next state.

    d⁰ = T(p) u - u,   y = σ(C [u, T(p) u]),   d = d⁰ + W σ(Σ_j a_j(p) ⊙ B_j y + M y),   u' = u + d + N([u, d, d⁰])

A small module proposes the change d: transport and diffusion T by amounts affine in the parameters p, and branches B_j
whose channels are weighted by what an attention makes of p. The base network N sees the state and the proposal, not the
parameters. Training goes from teacher forcing to rollout, with a loss on the proposal itself.

Good where the parameters of an equation differ between samples and are numbers, above all for values that training has
not seen; best where they are speeds and diffusivities on periodic axes, T's own case. Without parameters, or where they
are fields, take the base method itself.

Paper: Takamoto, Alesiani, Niepert, "Learning Neural PDE Solvers with Parameter-Guided Channel Attention", ICML 2023,
arXiv 2304.14118; written from its equations. Departures:
- Transport and diffusion T, affine in the parameters as equations are, which the paper has not; the warm-up trains T
  alone, W beginning at zero, and counts steps, not epochs; there it trains all of the proposal.
- The base is shown the changes d and d⁰ and corrects d; there it is shown u + d and its output is the next state.
- Attention reads a signed logarithm of the parameters and is bounded by tanh; there raw numbers, unbounded.
- No layer normalisation of the proposal, whose gain for each point fixes the grid and whose size bounds the error from
  below; local and spectral branches have their place in space at any resolution, without pooling.
- The loss of the proposal is a plain mean over steps with a weight of 0.1; there a running sum with 6e-5.
- One proposal for each target, as in the paper's benchmarks.

Needs: trajectories on a regular grid, parameters that are numbers of each sample, a task of steps in time.
"""
