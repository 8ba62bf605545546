"""Physics-informed neural network: a network whose residuals are minimised at collocation points.

u(t, x) is a multilayer perceptron; its loss is the mean square of the equation's residual at collocation points inside
the domain plus the weighted mean squares of what the conditions leave over at points of their own. Adam first, then a
quasi-Newton method in float64: self-scaled Broyden with a dense inverse Hessian for small networks, L-BFGS for others;
or least squares on the Jacobian of the rows (Levenberg-Marquardt, Gauss-Newton, SPRING). Between minimisations the
collocation points move to where the residual is large. Runs are checkpointed and go on bit for bit.

Paper: Raissi, Perdikaris, Karniadakis, "Physics-informed neural networks", J. Comput. Phys. 378 (2019) 686,
arXiv 1711.10561. Departures: every axis is rescaled to [-1, 1]; periodic axes are embedded by cosines and sines, so
that periodic conditions hold exactly; self-scaled Broyden (Urban, Stefanou, Pons, J. Comput. Phys. 523 (2025) 113656,
arXiv 2405.04230) and residual-adaptive points (Wu et al., 2023, arXiv 2207.10289); steps follow from the budget.

Needs: a problem on any domain that can be sampled, an equation that supports point fields. Good for smooth solutions
at errors of 1e-3 to 1e-5.
"""
