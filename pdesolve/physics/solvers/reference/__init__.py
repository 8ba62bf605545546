"""Trusted classical solvers: what every other method is judged against.

One scheme is chosen by the problem: its exact formula; Cole-Hopf for Burgers; exact Fourier, sine and cosine series for
linear evolutions; exponential time differencing (ETDRK4) for nonlinear ones on periodic boxes and between homogeneous
walls; the method of lines for all others on boxes, explicit or with the stiff part implicit; fast transforms, finite
volumes (coefficients that jump), Chebyshev points (smooth data) or sparse Newton solves for stationary problems.
Resolution and time steps are doubled until two solutions agree, and how far they do is noted as `estimated_error`.

Papers: Hopf, Comm. Pure Appl. Math. 3 (1950) 201, and Cole, Quart. Appl. Math. 9 (1951) 225; Cox, Matthews, J. Comput.
Phys. 176 (2002) 430; Kassam, Trefethen, SIAM J. Sci. Comput. 26 (2005) 1214; Kennedy, Carpenter, Appl. Numer. Math. 44
(2003) 139, and Hairer, Norsett, Wanner, Solving Ordinary Differential Equations I (1993) for the steps of the method of
lines; Eymard, Gallouet, Herbin, Handbook of Numerical Analysis 7 (2000) 713; Trefethen, Spectral Methods in MATLAB
(2000). Departures: walls with zero values or slopes are reflections on a doubled periodic box; the integrals of
Cole-Hopf are trapezoidal sums, which stay exact for small viscosities where Gauss-Hermite nodes miss the integrand.

Needs: a box, or a problem with an exact formula. Smooth solutions come out at 1e-9 and below, kinks at 1e-6. Results
are kept on disk (PDESOLVE_CACHE names the folder).
"""
