"""Spherical Fourier neural operator: layers that mix all places of a sphere by a few spherical harmonics.

    v' = σ(K v + W v),   (K v)^_lm = R_l v^_lm for l < modes, else 0

The spectral weights depend on the degree alone, so K commutes with rotations of the sphere: no seam, no poles. For
weather and other flows on a whole sphere.

Papers: Bonev, Kurth, Hundt, Pathak, Baust, Kashinath, Anandkumar, "Spherical Fourier Neural Operators: Learning Stable
Dynamics on the Sphere", ICML 2023, arXiv 2306.03838, in the neuraloperator package (arXiv 2412.10354), whose model is
used. Departures: coordinates enter as channels of our own.

Needs: the extra `spherical` (torch-harmonics 0.7; later ones pull another build of torch); data on a grid of latitudes
from pole to pole, poles included, and of longitudes all round, in any order, with at least twice as many latitudes as
modes.
"""
