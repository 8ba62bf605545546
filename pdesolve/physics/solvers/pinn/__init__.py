"""Physics-informed neural network: a network whose residuals are minimised at collocation points.

u(t, x) is a multilayer perceptron; its loss is the mean square of the equation's residual at collocation points inside
the domain plus the weighted mean squares of what the conditions leave over at points of their own. Minimised by Adam,
then by L-BFGS in float64.

Paper: Raissi, Perdikaris, Karniadakis, "Physics-informed neural networks", J. Comput. Phys. 378 (2019) 686,
arXiv 1711.10561. Departures: every axis is rescaled to [-1, 1]; periodic axes are embedded by cosines and sines, so
that periodic conditions hold exactly; the number of steps follows from the budget.

Needs: a problem on any domain that can be sampled, an equation that supports point fields. Good for smooth solutions
at errors of 1e-3 to 1e-4.
"""
