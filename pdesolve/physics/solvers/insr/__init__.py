"""Implicit neural spatial representations: classical steps in time whose field is a network, fitted at each step.

A network holds one instant. A step of a classical scheme says what the next instant is, as a target or as a residual,
and an optimisation finds the network of it, from the weights before. Schemes: explicit Euler and Runge-Kutta, implicit
Euler, midpoint and trapezoidal rules; semi-Lagrangian for what is carried along; for incompressible flow advection,
diffusion, pressure and projection one after the other, or Runge-Kutta with the pressure solved at each stage; for
elastic bodies the incremental potential, minimised.

Paper: Chen, Wu, Grinspun, Zheng, Chen, "Implicit Neural Spatial Representations for Time-dependent PDEs", ICML 2023,
arXiv 2210.00124. Departures: Levenberg-Marquardt at fixed points unless `fit` says adam, which is the paper's recipe;
walls are held by the network's output, u = g + D N, not by penalties; characteristics by fourth order; steps of higher
order. Energies are densities, so that no number of points changes them.

Needs: an evolution on a box. Periodic axes, Dirichlet values and impermeable walls are held exactly. Good for smooth
states; each step adds the error of its fit, 1e-8 to 1e-6 by least squares, 1e-4 to 1e-2 by Adam.
"""
