"""Trusted classical solvers: what every other method is judged against.

One scheme is chosen by the problem: its exact formula; Cole-Hopf for Burgers; exact Fourier, sine and cosine series for
linear evolutions; finite volumes for balance laws without diffusion, whose solutions jump; exponential time
differencing (ETDRK4) for other nonlinear ones on periodic boxes and between homogeneous walls; the method of lines for
all others on boxes, explicit or with the stiff part implicit; fast transforms, two-point fluxes (coefficients that
jump), Chebyshev points (smooth data) or sparse Newton solves for stationary problems; finite elements on all other
domains. Incompressible flow: on periodic boxes the same series and steps, the pressure projected out and recovered;
steady and between four walls a spectral stream function, with the singular flow in corners in closed form.
Resolution and time steps are doubled until two solutions agree, and how far they do is noted as `estimated_error`.

Papers: Hopf, Comm. Pure Appl. Math. 3 (1950) 201, and Cole, Quart. Appl. Math. 9 (1951) 225; Cox, Matthews, J. Comput.
Phys. 176 (2002) 430; Kassam, Trefethen, SIAM J. Sci. Comput. 26 (2005) 1214; Kennedy, Carpenter, Appl. Numer. Math. 44
(2003) 139, and Hairer, Norsett, Wanner, Solving Ordinary Differential Equations I (1993) for the steps of the method of
lines; van Leer, J. Comput. Phys. 32 (1979) 101, and Harten, Lax, van Leer, SIAM Review 25 (1983) 35, for finite
volumes; Eymard, Gallouet, Herbin, Handbook of Numerical Analysis 7 (2000) 713, for two-point fluxes; Trefethen,
Spectral Methods in MATLAB (2000); Shen, SIAM J. Sci. Comput. 15 (1994) 1489, and Botella, Peyret, Computers and Fluids
27 (1998) 421, for the stream function. Departures: walls with zero values or slopes are reflections on a doubled
periodic box; the integrals of Cole-Hopf are trapezoidal sums, which stay exact for small viscosities where
Gauss-Hermite nodes miss the integrand.

Needs: a problem with an exact formula, a box, a plane domain, or a mesh. Smooth solutions come out at 1e-9 and below,
kinks at 1e-6, shocks at 1e-2 in relative L2, halved by four times the cells (the exact Riemann problem is taken where
it is the solution), elements at 1e-5. Results are kept on disk (PDESOLVE_CACHE names the folder).
"""
