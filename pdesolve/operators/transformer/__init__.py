"""Operator transformer: attention between tokens of fixed places in space, on grids or at scattered points.

    t_m = ∫ Λ_m κ(y - z_m) ⊙ P v(y) dy / a_m,   a_m = ∫ Λ_m dy                from the places that are given to tokens
    t_m ← t_m + ∑_n a_n exp(q_m · k_n / √c) v_n / ∑_n a_n exp(q_m · k_n / √c)  between tokens, layer by layer
    u(x) = Q ∑_m Λ_m(x) κ'(z_m - x) ⊙ t_m                                      at any places that are wanted

Λ are the hat functions of a lattice of tokens z, a their integrals over the places that are given: the tokens are a
quadrature of them. So places count by their weights and not by their number, points may come in any order and density,
and outcomes may be asked for anywhere.

Good for points and grids of changing resolution, for far-reaching dependence, and where values are wanted elsewhere
than they are given; it needs more samples than fno. Of details finer than the lattice of tokens it sees moments only.

Papers: Vaswani et al., "Attention Is All You Need", 2017, arXiv 1706.03762; Cao, "Choose a Transformer: Fourier or
Galerkin", 2021, arXiv 2105.14995 (linear attention); Li, Meidani, Farimani, "Transformer for Partial Differential
Equations' Operator Learning", TMLR 2023, arXiv 2205.13671 (rotations by coordinates, queries anywhere); Wen et al.,
"Geometry Aware Operator Transformer", 2025, arXiv 2505.18781 (graph integrals to and from a lattice of tokens); Berner
et al., 2025, arXiv 2506.10973 (weights by quadrature). Departures: windows are hat functions, which sum to one, in the
place of balls; one scale; tokens weigh as their windows in attention.

Needs: data on a grid or at points, of one to three axes of space.
"""
