"""Physics-informed Gaussians: a network of trained Gaussian bumps, which move to where the solution is steep.

u(x) = g + D M(f(x)) with f_c(x) = Σ_i w_ci exp(-½ |L_ciᵀ (x - μ_ci)|²), M a light perceptron of the features f or none
at all, g and D the lift by which conditions hold exactly where they can. Centres μ, widths and weights are all trained;
value and partials come in closed form from two matrix products, whatever the number of points.

Problems that are linear in the unknowns get fixed Gaussians spread over the box first, their width found by the
residual at points that no fit has seen and their weights by linear least squares. Where these do not come to a
solution, and for other problems, all is trained by Levenberg-Marquardt in float64, while collocation points move to
where the residual is large, and Gaussians that do nothing with them.

Paper: N. Kang, J. Oh, Y. Hong, E. Park, "PIG: Physics-informed Gaussians as adaptive parametric mesh representations",
ICLR 2025, arXiv 2412.05994. Departures: exact conditions and Levenberg-Marquardt in the place of L-BFGS and Adam;
channels share their Gaussians (`centres own` is the paper's), logarithms of widths are trained (`widths raw` is the
paper's), Gaussians that do nothing move; linear problems by random Gaussians. Other bases and placing by weighted
k-means (`seeding`): Z. Chen et al., "NeuRBF", ICCV 2023, arXiv 2309.15426, on all functions rather than the nearest
ones, whose set changes by jumps.

Needs: a problem on any domain that can be sampled, an equation that supports point fields. Good for sharp features at
places that are not known beforehand.
"""
