"""Stabilised Fourier neural operator: for rollouts of hundreds of steps, none of which can blow a wave up.

    v <- v + W S(M(v)),   (S v)^_k = m_k v^_k for |k| <= modes / 2, else 0,   |m_k| < 1,   |W| <= 1

A Fourier neural operator that is fed its own output many times may diverge: what its nonlinearities alias and what its
free multipliers do to waves of little energy grows from step to step. Here the nonlinearity comes before the filter,
filters act on single channels and have gains below one, matrices have norms of at most one, and spheres are continued
over their poles. One step costs a little accuracy at first: train a little longer.

Paper: M. McCabe, P. Harrington, S. Subramanian, J. Brown, "Towards Stability of Autoregressive Neural Operators", TMLR
2023, arXiv 2306.10619. Departures: multipliers are z / sqrt(1 + |z|^2) of a complex z, belong to wavevectors and serve
any grid; hidden values are three times larger, since nonlinearities hardly bend small ones; coordinates are channels in
place of a learned field; bounded axes are continued evenly.

Needs: data on a regular grid, targets that are the inputs of the next step for rollouts.
"""
