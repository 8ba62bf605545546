"""CAPE: a base network that is told the parameters of the equation by a proposal of the next state.

    z = σ(Σ_j a_j(p) ⊙ B_j y + B T(p) y + M y),   d = W z,   u' = u + d + N([u, u + d])

A small module proposes the next state u + d: branches B_j whose channels are weighted by what an attention makes of the
parameters p, and transport and diffusion T by amounts affine in them. The base network N sees the state and the
proposal, not the parameters. Training goes from teacher forcing to rollout, with a loss on the proposal itself.

Good where the parameters of an equation differ between samples and are numbers, above all for values that training has
not seen. Without parameters, or where they are fields, take the base method itself.

Paper: Takamoto, Alesiani, Niepert, "Learning Neural PDE Solvers with Parameter-Guided Channel Attention", ICML 2023,
arXiv 2304.14118; written from its equations. Departures:
- Transport and diffusion of each channel, affine in the parameters as equations are, in the place of the paper's
  spectral channels (`proposal: channels` takes these).
- The base corrects the proposal; there its output is the next state.
- Attention reads a signed logarithm of the parameters and is bounded by tanh; there raw numbers, unbounded.
- A step changes no waves above those that the base fno filters: rollouts grew there, by a factor of 12 in 20 steps.
- No layer normalisation of the proposal, whose gain for each point fixes the grid and whose size bounds the error from
  below; local and spectral branches have their place in space at any resolution, without pooling.
- The loss of the proposal is a plain mean over steps with a weight near 1/2; there a running sum with 6e-5.
- One proposal for each target, as in the paper's benchmarks; the warm-up counts steps, not epochs.

Needs: trajectories on a regular grid, parameters that are numbers of each sample, a task of steps in time.
"""
