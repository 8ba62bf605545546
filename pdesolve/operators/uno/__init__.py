"""U-shaped neural operator: Fourier layers on coarser and coarser functions and back, equal resolutions joined.

    v_0 = K_0 v,  v_l = K_l v_{l-1} on half the points,  …,  v'_{l-1} = K'_l (v'_l, v_l) on twice as many

Deeper for the same memory than a Fourier neural operator: what is wide is coarse. For fields with several scales.

Papers: Rahman, Ross, Azizzadenesheli, "U-NO: U-shaped Neural Operators", TMLR 2023, arXiv 2204.11127, in the
neuraloperator package (arXiv 2412.10354), whose model is used. Departures: spectral convolutions and coordinates as in
`fno`; functions change resolution by the waves that both grids hold, where the package interpolates by index; the
nonlinearity between layers, which the package leaves out, is that of the paper.

Needs: data on a regular grid with at least as many points along each axis as modes.
"""
