"""Error measures, one definition each: its formula, where it is from, and in which order it takes roots and means.

Tensors have the shape (sample, time, component, *space); what has no time or component has one of them. Measures return
what they are a mean or a maximum over space of, (sample, time, component), so that the order of the means and roots
that come after is seen where it is chosen; `Scores` chooses as PDEBench and the Well do. Weights are those of
quadrature, for points that are not equally spaced. A NaN in either tensor is a NaN in every measure that it has a part
in.
"""

from pdesolve.metrics.ensembles import coverage as coverage
from pdesolve.metrics.ensembles import crps as crps
from pdesolve.metrics.ensembles import spread as spread
from pdesolve.metrics.ensembles import spread_skill as spread_skill
from pdesolve.metrics.means import quadrature_weights as quadrature_weights
from pdesolve.metrics.means import spatial_mean as spatial_mean
from pdesolve.metrics.norms import boundary_rmse as boundary_rmse
from pdesolve.metrics.norms import conserved_error as conserved_error
from pdesolve.metrics.norms import errors as errors
from pdesolve.metrics.norms import frame_relative_l2 as frame_relative_l2
from pdesolve.metrics.norms import max_error as max_error
from pdesolve.metrics.norms import max_errors as max_errors
from pdesolve.metrics.norms import nrmse as nrmse
from pdesolve.metrics.norms import relative_l2 as relative_l2
from pdesolve.metrics.norms import rmse as rmse
from pdesolve.metrics.norms import root_mean_square as root_mean_square
from pdesolve.metrics.norms import sample_relative_l2 as sample_relative_l2
from pdesolve.metrics.norms import vrmse as vrmse
from pdesolve.metrics.rollouts import THRESHOLD as THRESHOLD
from pdesolve.metrics.rollouts import correlation as correlation
from pdesolve.metrics.rollouts import correlation_time as correlation_time
from pdesolve.metrics.rollouts import lead_curve as lead_curve
from pdesolve.metrics.scores import Scores as Scores
from pdesolve.metrics.sobolev import h1_norm as h1_norm
from pdesolve.metrics.sobolev import relative_h1 as relative_h1
from pdesolve.metrics.spectra import band_energy as band_energy
from pdesolve.metrics.spectra import band_rmse as band_rmse
from pdesolve.metrics.spectra import energy_spectrum as energy_spectrum
from pdesolve.metrics.spectra import octave_edges as octave_edges
