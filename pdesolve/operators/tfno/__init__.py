"""Tensorised Fourier neural operator: a Fourier neural operator whose spectral weights are low-rank tensors.

    R = G ×_in U_in ×_out U_out ×_1 U_1 … ×_d U_d, with about the fraction `rank` of the numbers of R

For many modes or few samples: a tenth of the weights overfits less and lets modes and width be larger.

Papers: Kossaifi, Kovachki, Azizzadenesheli, Anandkumar, "Multi-Grid Tensorized Fourier Neural Operator for High-
Resolution PDEs", TMLR 2024, arXiv 2310.00120; Li et al., "Fourier Neural Operator for Parametric Partial Differential
Equations", ICLR 2021, arXiv 2010.08895. The model is that of the neuraloperator package (arXiv 2412.10354). Departures:
those of `fno`; no decomposition of the domain.

Needs: data on a regular grid with at least as many points along each axis as modes.
"""
