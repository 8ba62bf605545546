"""Geometry-informed neural operator: between points of any placing, by Fourier layers on a latent grid.

    h(z) = ∫_{|y - z| < r} κ(y, z) f(y) dy,   g = FNO(h),   u(x) = ∫_{|z - x| < r} κ'(z, x) g(z) dz

For point clouds, meshes and domains that are no boxes, for other points in each sample, and for values wanted elsewhere
than they are given. On a grid `fno` is faster and better.

Papers: Li, Kovachki, Choy, Li, Kossaifi, Otta, Nabian, Stadler, Hundt, Azizzadenesheli, Anandkumar, "Geometry-Informed
Neural Operator for Large-Scale 3D PDEs", NeurIPS 2023, arXiv 2309.00583, in the neuraloperator package (arXiv
2412.10354), whose model is used. Departures: kernels are given the offset of two points in units of the radius, and a
weight that falls to zero at the radius, so that nothing jumps; sums take quadrature weights and are averages; torch
alone finds the neighbours; the latent grid goes beyond ends of axes. Signed distances are inputs like others.

Needs: values at points or on a grid, dense enough that neighbourhoods hold some.
"""
