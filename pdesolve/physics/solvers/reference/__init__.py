"""Trusted classical solvers: what every other method is judged against.

One scheme is chosen by the problem: its exact formula; Cole-Hopf for Burgers; exact Fourier, sine and cosine series for
linear evolutions; exponential time differencing (ETDRK4) for nonlinear ones on periodic boxes and between homogeneous
walls; the method of lines for all others on boxes; fast transforms or sparse Newton solves for stationary problems.
Incompressible flow: on periodic boxes the same series and steps, the pressure projected out and recovered; steady and
between four walls a spectral stream function, with the singular flow in corners in closed form.
Resolution and time steps are doubled until two solutions agree, and how far they do is noted as `estimated_error`.

Papers: Hopf, Comm. Pure Appl. Math. 3 (1950) 201, and Cole, Quart. Appl. Math. 9 (1951) 225; Cox, Matthews, J. Comput.
Phys. 176 (2002) 430; Kassam, Trefethen, SIAM J. Sci. Comput. 26 (2005) 1214; Hairer, Norsett, Wanner, Solving Ordinary
Differential Equations I, II (1993, 1996) for the steps of the method of lines; Shen, SIAM J. Sci. Comput. 15 (1994)
1489, and Botella, Peyret, Computers and Fluids 27 (1998) 421, for the stream function. Departures: walls with zero
values or slopes are reflections on a doubled periodic box; the integrals of Cole-Hopf are trapezoidal sums, which stay
exact for small viscosities where Gauss-Hermite nodes miss the integrand.

Needs: a box, or a problem with an exact formula. Smooth solutions come out at 1e-9 and below, kinks at 1e-6. Results
are kept on disk (PDESOLVE_CACHE names the folder).
"""
