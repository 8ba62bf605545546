"""Uncertainty-quantifying neural operator: a Fourier neural operator and bands around what it predicts.

    |u(x) - G(a)(x)| ≤ λ |E(a)(x)| on 1 - alpha of the domain, for 1 - delta of all functions

G is trained first. E, of the same kind, then learns the quantile 1 - alpha of G's absolute errors at each place, on
samples that G was not trained on, by the pinball loss max(q (e - E), (q - 1) (e - E)), q = 1 - alpha. λ is chosen on
samples that neither has seen. For bands that are wide where the operator is unsure, and that keep what they promise.

Papers: Ma, Pitt, Azizzadenesheli, Anandkumar, "Calibrated Uncertainty Quantification for Operator Learning via
Conformal Prediction", TMLR 2024, arXiv 2402.01960. Both networks are those of `fno`; the class of that name in the
neuraloperator package is a pair of models. Departures: E's size, not its sign, counts; ranks of the calibration are
those with the guarantee (`pdesolve.surrogates.conformal.MostPlaces`).

Needs: data on a regular grid with at least as many points along each axis as modes, and a validation split, half of
which chooses the best weights and half calibrates.
"""
