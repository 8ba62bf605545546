"""Time-evolving natural gradient: a network of one instant, marched by least squares in time.

A step of a classical scheme says at quadrature points what the state is a moment later; damped Gauss-Newton steps in
function space pull the network there until the residual falls no more. First comes a fit of the initial state, by Adam
and Levenberg-Marquardt, on which all else rests. Beside it, for comparison: velocities projected onto the tangent space
(the time-dependent variational principle, `--method.variant tdvp`) and the same targets by descent along gradients
(optimisation-based time integration, `obti_adam`, `obti_lbfgs`).

Periodic axes enter by learned units a cos(k x + phi) + c, Dirichlet values by u = g + D N. In between the steps the
state is a polynomial in time through the nearest six.

Paper: Chen, McCarran, Vizcaino, Soljacic, Luo, "TENG: Time-Evolving Natural Gradient for Solving PDEs With Deep Neural
Nets Toward Machine Precision", ICML 2024, arXiv 2404.10771. Departures: classical Runge-Kutta of fourth order and
embedded pairs beside Euler and Heun; all parameters in each solve unless `subset` is given; QR with damping and
geodesic acceleration unless `projection svd` is, and in every case a step that raises the residual is taken back;
factors of the Jacobian are kept, also from step to step, for as long as steps from them lower the residual tenfold.

Evolutions of second order march as systems of u and u_t, waves by projections in the norm of their energy, in which
short waves cannot grow. Dirichlet values on boxes hold by a lift, slopes, mixed conditions and values on other domains
by weighted rows of every projection (TENG-BC). Algebraic unknowns such as a pressure are found for every rate by least
squares on what their constraint leaves over, on periodic boxes.

Needs: an evolution in one to three dimensions of space. Good for smooth states: the error is that of the initial fit,
1e-4 to 1e-7, which is kept in the folder of caches for later runs.
"""
