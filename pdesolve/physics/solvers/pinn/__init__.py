"""Physics-informed neural network: a network whose residuals are minimised at collocation points.

u(t, x) = g + D N, with g what Dirichlet, initial and periodic conditions say, D zero where they hold, and N a network:
they hold exactly wherever data are smooth and agree; the others join the loss, the mean square of the residual at
collocation points. Derivatives are carried through the network in one forward pass.

Problems that are linear in the unknowns get one wide hidden layer of random features at the scales of their data; the
output layer is linear least squares, and widths grow until the residual at other points stops falling. Others are
minimised by Adam and then by self-scaled Broyden with a dense inverse Hessian in float64, while collocation points move
to where the residual is large.

Paper: Raissi, Perdikaris, Karniadakis, "Physics-informed neural networks", J. Comput. Phys. 378 (2019) 686,
arXiv 1711.10561. Departures: exact conditions (Lagaris, Likas, Fotiadis, IEEE Trans. Neural Netw. 9 (1998) 987); random
features with an exact output layer (Dwivedi, Srinivasan, Neurocomputing 391 (2020) 96, arXiv 1907.03507), whose scales
are found by search; self-scaled Broyden (Urban, Stefanou, Pons, J. Comput. Phys. 523 (2025) 113656, arXiv 2405.04230);
residual-adaptive points (Wu et al., 2023, arXiv 2207.10289); rows and unknowns scaled to one; steps follow from the
budget. Settings take the others of the field: see `pdesolve solve PROBLEM --method pinn --help`.

Needs: a problem on any domain that can be sampled, an equation that supports point fields. Good for smooth solutions:
1e-4 to 1e-6 in minutes, most linear ones in two dimensions 1e-9 and below in a minute. Many scales at
once in three dimensions are beyond it (`experiments/README.md`).
"""
