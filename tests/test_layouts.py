"""Layouts that are no plain HDF5: what each file of others is taken for, and what is refused, in one line."""

from __future__ import annotations

import os
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io
import torch

from pdesolve.data.dataset import Dataset
from pdesolve.datasets.opening import open_dataset
from pdesolve.errors import InputError
from pdesolve.geometry import Mesh, PointCloud

DATA = Path(os.environ.get("PDESOLVE_DATA", "/nowhere"))
real = pytest.mark.skipif(not DATA.is_dir(), reason="PDESOLVE_DATA is unset: no files of others are here")

# file: (layout, variables with their dimensions and shapes, axes with their bounds, + where periodic, what is said)
Row = tuple[str, dict[str, str], dict[str, str], dict[str, tuple[str, ...]]]
CAR = {"press": "point 10758", "vertex_normals": "component 3 point 10758", "centroids": "component 3 cell 21504"}
UGRID_21 = {"flux": "edge 41", "depth": "node 20", "bnd_cond": "boundary 19", "u": "cell 21", "v": "cell 21"}
REAL: dict[str, Row] = {
    "raissi-pinns/appendix/Data/burgers_shock.mat": (
        "space_time",
        {"usol": "t 100 x 256"},
        {"t": "0 0.99", "x": "-1 1 +"},
        {},
    ),
    "raissi-pinns/main/Data/AC.mat": ("space_time", {"uu": "t 201 x 512"}, {"t": "0 1", "x": "-1 1 +"}, {}),
    "raissi-pinns/main/Data/KdV.mat": ("space_time", {"uu": "t 201 x 512"}, {"t": "0 1", "x": "-1 1 +"}, {}),
    "raissi-pinns/main/Data/NLS.mat": (
        "space_time",
        {"uu": "t 201 component 2 x 256"},
        {"t": "0 1.5708", "x": "-5 5 +"},
        {},
    ),
    "raissi-pinns/main/Data/cylinder_nektar_t0_vorticity.mat": ("points", {"w": "point 49852"}, {}, {}),
    "raissi-pinns/Utilities/IRK_weights/Butcher_IRK4.txt": ("table", {"c0": "point 24"}, {}, {}),
    "raissi-deephpms/Data/burgers_sine.mat": ("space_time", {"usol": "t 201 x 256"}, {"t": "0 10", "x": "-8 8 +"}, {}),
    "raissi-deephpms/Data/KdV_sine.mat": ("space_time", {"usol": "t 201 x 512"}, {"t": "0 40", "x": "-20 20 +"}, {}),
    "raissi-deephpms/Data/KS.mat": ("space_time", {"usol": "t 251 x 512"}, {"t": "0 50", "x": "-10 10 +"}, {}),
    "deepxde/examples/dataset/Burgers.npz": ("space_time", {"usol": "t 100 x 256"}, {"t": "0 0.99", "x": "-1 1 +"}, {}),
    "deepxde/examples/dataset/Allen_Cahn.mat": ("space_time", {"u": "t 101 x 201"}, {"t": "0 1", "x": "-1 1"}, {}),
    "deepxde/examples/dataset/Poisson_Lshape.npz": ("points", {"y_ref": "point 25921"}, {}, {}),
    "deepxde/examples/dataset/reaction.npz": (
        "space_time",
        {"Ca": "t 201 x 201", "Cb": "t 201 x 201"},
        {"t": "0 10", "x": "0 1"},
        {"Ca": ("t", "x"), "Cb": ("t", "x")},
    ),
    "deepxde/examples/dataset/stokes.npz": (
        "bare",
        {"arr_0": "component 3 point 10201"},
        {},
        {"arr_0": ("point", "component")},
    ),
    "deepxde/examples/dataset/Lorenz.npz": ("space_time", {"y": "t 25 component 3"}, {"t": "0 3"}, {}),
    "deepxde/examples/dataset/mf_lo_train.dat": ("table", {"x": "point 51", "y": "point 51"}, {}, {}),
    "deepxde/examples/dataset/mf_hi_test.dat": ("table", {"c0": "point 1000", "c1": "point 1000"}, {}, {}),
    "neuraloperator/neuralop/data/datasets/data/darcy_train_16.pt": (
        "neuraloperator",
        {"input": "sample 1000 x 16 y 16", "output": "sample 1000 x 16 y 16"},
        {},
        {},
    ),
    "neuraloperator/neuralop/data/datasets/data/darcy_test_16.pt": (
        "neuraloperator",
        {"input": "sample 50 x 16 y 16", "output": "sample 50 x 16 y 16"},
        {},
        {},
    ),
    "neuraloperator/neuralop/data/datasets/data/burgers_train_16.pt": (
        "neuraloperator",
        {"input": "sample 800 x 16", "output": "sample 800 t 17 x 16"},
        {},
        {},
    ),
    "neuraloperator/neuralop/data/datasets/data/burgers_test_16.pt": (
        "neuraloperator",
        {"input": "sample 400 x 16", "output": "sample 400 t 17 x 16"},
        {},
        {},
    ),
    "neuraloperator/neuralop/data/datasets/data/mini_car.pt": ("geometries", CAR, {}, {}),
    "neuraloperator/neuralop/data/datasets/data/ot_expand3.0_reg1e-06_train2_test1.pt": (
        "geometries",
        {"press": "point 10758", "nor_t": "component 3 point 10758"},
        {},
        {},
    ),
    "pinnacle/ref/burgers1d.dat": ("comsol", {"u": "t 11 x 101"}, {"t": "0 1", "x": "-1 1"}, {}),
    "pinnacle/ref/poisson1_cg_data.dat": ("comsol", {"u": "point 1246"}, {}, {}),
    "pinnacle/ref/ns2d.dat": ("comsol", {"u": "point 11980", "v": "point 11980", "p": "point 11980"}, {}, {}),
    "pinnacle/ref/lid_driven_a2.dat": ("comsol", {"u": "point 10201", "v": "point 10201", "p": "point 10201"}, {}, {}),
    "pinnacle/ref/heatinv_points.dat": ("table", {"c0": "point 2500", "c2": "point 2500"}, {}, {}),
    "pinnacle/ref/poisson_a_coef.dat": ("table", {"values": "x 5 y 5"}, {}, {"values": ("x", "y")}),
    "pinnacle/ref/poisson_f_coef.dat": ("table", {"c0": "point 100"}, {}, {}),
    "jaxpi/examples/burgers/data/burgers.mat": ("space_time", {"usol": "t 201 x 512"}, {"t": "0 1", "x": "-1 1 +"}, {}),
    "jaxpi/examples/ks/data/ks.mat": ("space_time", {"usol": "t 251 x 512"}, {"t": "0 1", "x": "-1 1 +"}, {}),
    "jaxpi/examples/ldc/data/ldc_Re100.mat": (
        "space_time",
        {"u": "x 256 y 256"},
        {"x": "0 1", "y": "0 1"},
        {"u": ("x", "y"), "v": ("x", "y")},
    ),
    "jaxpi/examples/ldc/data/ldc_Re1000.mat": (
        "space_time",
        {"v": "x 128 y 128"},
        {"x": "0 1", "y": "0 1"},
        {"u": ("x", "y"), "v": ("x", "y")},
    ),
    "jaxpi/examples/euler_tori/data/checkpoint_T_0.101000.vtk": (
        "mesh",
        {"u_n": "component 3 node 10201", "p_n": "node 10201"},
        {},
        {},
    ),
    "pysindy/examples/data/burgers.mat": ("space_time", {"usol": "t 101 x 256"}, {"t": "0 10", "x": "-8 8 +"}, {}),
    "pysindy/examples/data/kdv.mat": ("space_time", {"usol": "t 201 x 512"}, {"t": "0 20", "x": "-30 30 +"}, {}),
    "pysindy/examples/data/kuramoto_sivishinky.mat": (
        "space_time",
        {"uu": "t 251 x 1024"},
        {"t": "0 100", "x": "0 100.531 +"},
        {},
    ),
    "pysindy/examples/data/vonKarman_pod/pod_modes/cyl.msh": ("mesh", {}, {}, {}),
    "pina/tutorials/tutorial24/data/advection_input_training.pt": (
        "bare",
        {"values": "sample 100 x 100"},
        {},
        {"values": ("sample", "x", "_")},
    ),
    "pina/tutorials/tutorial24/data/advection_output_testing.pt": (
        "bare",
        {"values": "sample 1000 x 100"},
        {},
        {"values": ("sample", "x")},
    ),
    "pina/tutorials/tutorial22/holed_poisson.pt": ("snapshots", {"u": "sample 121 node 1352"}, {}, {}),
    "probconserv/deep_pdes/experiments/output/paper/1b_pme_var_m/datasets/valid.pt": (
        "neural_process",
        {"contexts_at": "sample 100 component 2 context 100", "targets": "sample 100 target 100"},
        {},
        {},
    ),
    "phycrnet/Datasets/ICs/IC_Burgers.mat": (
        "bare",
        {"IC": "sample 1 component 2 x 128 y 128"},
        {},
        {"IC": ("sample", "component", "x", "y")},
    ),
    "phycrnet/Datasets/ICs/IC_FN1.mat": (
        "bare",
        {"IC": "component 2 x 128 y 128"},
        {},
        {"IC": ("_", "component", "x", "y")},
    ),
    "pyclaw/examples/acoustics_2d_mapped/pressure.npz": ("bare", {"arr_0": "x 100 y 100"}, {}, {"arr_0": ("x", "y")}),
    "pyclaw/examples/acoustics_2d_homogeneous/verify_classic.txt": ("table", {"values": "row 100 column 100"}, {}, {}),
    "pyclaw/examples/shallow_sphere/swsphere_height.txt": (
        "table",
        {"values": "x 40 y 20"},
        {},
        {"values": ("x", "y")},
    ),
    "pyclaw/examples/advection_reaction_2d/advection_reaction.txt": ("table", {"values": "row 100 column 100"}, {}, {}),
    "uxarray/test/meshfiles/ugrid/outCSne30/outCSne30.ug": ("ugrid", {}, {}, {}),
    "uxarray/test/meshfiles/ugrid/outCSne30/outCSne30_vortex.nc": ("cf", {"psi": "ncol 5400"}, {}, {}),
    "uxarray/test/meshfiles/ugrid/quad-hexagon/grid.nc": ("ugrid", {}, {}, {}),
    "uxarray/test/meshfiles/ugrid/quad-hexagon/data.nc": ("cf", {"t2m": "n_face 4"}, {}, {}),
    "uxarray/test/meshfiles/mpas/QU/mesh.QU.1920km.151026.nc": ("cf", {"areaCell": "nCells 162"}, {}, {}),
    "uxarray/test/meshfiles/exodus/mixed/mixed.exo": ("exodus", {}, {}, {}),
    "vtk-data/Data/disk_out_ref.ex2": ("exodus", {"Temp": "point 8499", "H2": "point 8499"}, {}, {}),
    "gridded/gridded/tests/test_data/small_ugrid_zero_based.nc": ("ugrid", UGRID_21, {}, {}),
    "gridded/gridded/tests/test_ugrid/files/quad_and_triangle.nc": ("ugrid", {}, {}, {}),
    "gridded/gridded/tests/test_data/UGRIDv0.9_eleven_points_with_depth.nc": (
        "ugrid",
        {
            "siglay": "siglay_index 4 node 11",
            "h": "node 11",
            "h_center": "cell 13",
            "zeta": "node 11",
            "Mesh2_face_u": "cell 13",
        },
        {},
        {},
    ),
    "gridded/gridded/tests/test_data/staggered_sine_channel.nc": (
        "cf",
        {"u": "xi_rho 5 eta_psi 24", "v": "eta_rho 25 xi_psi 4"},
        {},
        {},
    ),
    "gridded/gridded/tests/test_data/arakawa_c_test_grid.nc": (
        "cf",
        {"u": "eta_u 12 xi_u 11", "v": "eta_v 11 xi_v 12"},
        {},
        {},
    ),
    "gridded/gridded/tests/test_data/WCOFS_subset.nc": (
        "cf",
        {"u_sur": "t 4 eta_u 68 xi_u 36"},
        {"t": "2.7752e+08 2.77531e+08"},
        {},
    ),
    "iris-test-data/test_data/NetCDF/ugrid/21_triangle_example.nc": ("ugrid", UGRID_21, {}, {}),
    "iris-test-data/test_data/NetCDF/unstructured_grid/mesh_C12.nc": ("ugrid", {}, {}, {}),
    "iris-test-data/test_data/NetCDF/rotated/xy/rotPole_landAreaFraction.nc": (
        "cf",
        {"sftls": "rlat 95 rlon 85", "lat": "rlat 95 rlon 85"},
        {"rlon": "-21.61 15.35", "rlat": "-20.57 20.79"},
        {},
    ),
    "cf-python/docs/source/sample_files/air_temperature.nc": (
        "cf",
        {"tas": "t 2 lat 73 lon 96"},
        {"lat": "-90 90", "lon": "-1.875 358.125 +"},
        {},
    ),
    "cf-python/docs/source/sample_files/tas.nc": (
        "cf",
        {"air_temperature": "grid_latitude 10 grid_longitude 9", "longitude": "grid_latitude 10 grid_longitude 9"},
        {},
        {},
    ),
    "neuralgcm/neuralgcm/data/era5_tl31_19590102T00.nc": (
        "cf",
        {"temperature": "level 37 longitude 64 latitude 32"},
        {"level": "1 1000", "longitude": "0 360 +", "latitude": "-85.7606 85.7606"},
        {},
    ),
    "parcels/tests/test_data/testfieldsU.nc": (
        "cf",
        {"vozocrtx": "t 15 x 5 y 3 depthu 2"},
        {"t": "0 15", "x": "0 2"},
        {},
    ),
    "parcels/tests/test_data/testfieldsV.nc": (
        "cf",
        {"vomecrty": "t 15 x 5 y 3 depthv 2"},
        {"t": "0 15", "y": "0 1"},
        {},
    ),
    "parcels/tests/test_data/testfieldsP.nc": (
        "cf",
        {"P": "t 15 x 5 y 3 depthp 2", "nav_lon": "x 5 y 3"},
        {"depthp": "0 0.5"},
        {},
    ),
    "scikit-fem/docs/examples/meshes/square.msh": ("mesh", {}, {}, {}),
    "scikit-fem/docs/examples/meshes/annulus.msh": ("mesh", {}, {}, {}),
    "scikit-fem/docs/examples/meshes/mixedtriquad.msh": ("mesh", {}, {}, {}),
    "scikit-fem/docs/examples/meshes/tagged_gmsh4.msh": ("mesh", {}, {}, {}),
    "scikit-fem/docs/examples/meshes/quadratic_tri.msh": ("mesh", {}, {}, {}),
    "scikit-fem/docs/examples/meshes/cylinder_stokes.msh": ("mesh", {}, {}, {}),
    "scikit-fem/docs/examples/meshes/box.msh": ("mesh", {}, {}, {}),
    "scikit-fem/docs/examples/meshes/beams.msh": ("mesh", {}, {}, {}),
    "pyfr-test-cases/2d-inc-cylinder/inc-cylinder.msh": ("mesh", {}, {}, {}),
    "pyfr-test-cases/2d-couette-flow/couette-flow.msh": ("mesh", {}, {}, {}),
    "pyfr-test-cases/2d-euler-vortex/euler-vortex.msh": ("mesh", {}, {}, {}),
    "phiflow/docs/mesh_wedge_inv.su2": ("mesh", {}, {}, {}),
    "phiflow/examples/mesh/cylinder.msh": ("mesh", {}, {}, {}),
    "phiflow/tests/commit/field/dens_001000.npz": (
        "phiflow",
        {"data": "x 128 y 256"},
        {"x": "0 100", "y": "0 200"},
        {},
    ),
    "phiflow/tests/commit/field/velo_001000.npz": ("phiflow", {"data": "component 2 y_face 257 x_face 129"}, {}, {}),
    "gridap-tutorials/models/elasticFlag.msh": ("mesh", {"region": "cell 2231"}, {}, {}),
    "gridap-tutorials/models/pentagon_mesh.msh": ("mesh", {}, {}, {}),
    "vtk-data/Data/meshio/out.xdmf": (
        "mesh",
        {"phi": "t 5 node 4", "u": "t 5 component 2 node 4", "a": "t 5 cell 2"},
        {"t": "0 1"},
        {},
    ),
    "vtk-data/Data/dolfinx/no_checkpoint.xdmf": ("mesh", {"f_5": "t 5 node 729"}, {"t": "0 4"}, {}),
    "vtk-data/Data/QuadraticTetra.vtu": ("mesh", {"Polynomial": "node 35"}, {}, {}),
    "vtk-data/Data/Hexahedron.vtu": ("mesh", {"material": "cell 7"}, {}, {}),
    "vtk-data/Data/Disc_BiQuadraticQuads_0_0.vtu": ("mesh", {"elemTypes": "cell 752"}, {}, {}),
    "ezyrb/tests/test_datasets/matlab_00.vtk": (
        "mesh",
        {"Pressure": "node 2500", "Velocity": "component 3 node 2500", "Weights": "cell 4802"},
        {},
        {},
    ),
    "smithers/smithers/dataset/datasets/termal/snapshots.npy": (
        "bare",
        {"values": "sample 8 node 304"},
        {},
        {"values": ("sample", "node")},
    ),
    "smithers/smithers/dataset/datasets/airfoil_transonic/snapshots_p_airfoil.npy": (
        "bare",
        {"values": "sample 100 point 448"},
        {},
        {"values": ("sample", "point")},
    ),
    "pydmd/tutorials/data/heat_90.npy": ("bare", {"values": "t 100 node 441"}, {}, {"values": ("node", "t")}),
    "idrlnet/examples/ns_steady/NSexternel_sample.csv": ("table", {"u": "point 5000", "area": "point 5000"}, {}, {}),
    "mat73/tests/testfile14.mat": ("bare", {"data": "sample 3 x 4 y 2"}, {}, {"data": ("sample", "_", "x", "y")}),
    "mat73/tests/testfile1.mat": ("bare", {"secondvar": "x 4"}, {}, {"secondvar": ("x",)}),
    "petibm/examples/data/ghia_et_al_1982_lid_driven_cavity.dat": (
        "table",
        {"c0": "point 17", "c11": "point 17"},
        {},
        {},
    ),
    "pinneikonal/codes/inputs/marm/model/marm_vz.txt": ("table", {"c0": "point 10201"}, {}, {}),
}


def shapes(data: Dataset) -> dict[str, str]:
    return {name: " ".join(f"{d} {n}" for d, n in v.sizes.items()) for name, v in data.variables.items()}


def bounds(data: Dataset) -> dict[str, str]:
    return {
        name: f"{c.axis.lower:.6g} {c.axis.upper:.6g}{' +' if c.axis.periodic else ''}"
        for name, c in data.coordinates.items()
    }


def some(found: Mapping[str, str], wanted: Mapping[str, str]) -> dict[str, str]:
    return {name: found.get(name, "nothing") for name in wanted}


@real
@pytest.mark.parametrize("name", REAL)
def test_a_file_of_others_is_what_it_is(name: str) -> None:
    layout, variables, axes, dims = REAL[name]
    data = open_dataset(DATA / name, dims=dims)
    assert data.layout == layout
    assert some(shapes(data), variables) == variables and bool(variables) == bool(data.variables)
    assert some(bounds(data), axes) == axes
    for key, variable in data.variables.items():
        values = data.read(key)
        assert values.shape == variable.array.shape and values.dtype == variable.array.dtype
    lazily = data.to_xarray()
    assert set(data.variables) <= set(lazily.variables)
    again = pickle.loads(pickle.dumps(data))
    assert shapes(again) == shapes(data)
    if not data.variables:
        assert isinstance(data.meshes[0], (Mesh, PointCloud))


# points, cells and parts of the boundary
MESHES: dict[str, tuple[int, int, str]] = {
    "scikit-fem/docs/examples/meshes/square.msh": (109, 184, "left right top"),
    "scikit-fem/docs/examples/meshes/mixedtriquad.msh": (56, 16 + 2 * 36, ""),
    "scikit-fem/docs/examples/meshes/box.msh": (358, 1105, ""),
    "pysindy/examples/data/vonKarman_pod/pod_modes/cyl.msh": (2726, 2 * 2622, "Bottom Inlet Outlet Top Wall"),
    "phiflow/docs/mesh_wedge_inv.su2": (336, 600, "inlet lower outlet upper"),
    "gridap-tutorials/models/pentagon_mesh.msh": (899, 1694, "l1 l2 l3 l4 l5"),
    "pyfr-test-cases/2d-inc-cylinder/inc-cylinder.msh": (1861, 3231 + 2 * 196, "inlet outlet wall"),
    "vtk-data/Data/dolfinx/no_checkpoint.xdmf": (729, 3072, ""),
}


@real
@pytest.mark.parametrize("name", MESHES)
def test_meshes_of_others_keep_their_parts(name: str) -> None:
    points, cells, parts = MESHES[name]
    (mesh,) = open_dataset(DATA / name).meshes
    assert isinstance(mesh, Mesh) and (len(mesh.points), len(mesh.cells)) == (points, cells)
    assert set(parts.split()) <= set(mesh.boundaries)


REFUSED = {
    "deepymod/examples/data/keller_segel.npy": r"pickled Python objects.*numpy\.savez",
    "pyclaw/examples/shallow_1d/expected_sols.npy": r"pickled Python objects.*numpy\.savez",
    "probconserv/deep_pdes/experiments/output/paper/2b_stefan_var_p/datasets/valid.pt":
        r"pickled Python objects \(deep_pdes\.datasets\.pme\.Stefan\).*torch\.save",
    "cf-python/cf/test/ugrid_global_1.nc": r"topology .*cf_role is 'mesh_topogy', expected 'mesh_topology'",
    "vtk-data/Data/StructuredGrid.vts": r"type StructuredGrid, and only UnstructuredGrid .*convert it",
    "deepxde/examples/dataset/reaction.npz":
        r"Ca and Cb .*t and x have 201 entries each.*dims=..Ca.: ..t., .x.., .Cb.: ..t., .x..",
    "jaxpi/examples/ldc/data/ldc_Re100.mat":
        r"x and y have 256 entries each.*dims=..u.: ..x., .y.., .v.: ..x., .y..",
    "deepxde/examples/dataset/stokes.npz": r"arr_0 \(10201, 3\)\. Say what they are, such as dims=",
    "mat73/tests/testfile11.mat": r"foo is a cell array, expected an array of numbers",
    "mat73/tests/testfile13.mat": r"A is a sparse matrix, expected an array of numbers",
    "mat73/tests/testfile8.mat": r"char_array is text, expected an array of numbers",
}  # fmt: skip


def refusal(path: Path, **said: Any) -> str:
    with pytest.raises(InputError) as caught:
        open_dataset(path, **said)
    message = str(caught.value)
    assert "\n" not in message
    return message


@real
@pytest.mark.parametrize("name", REFUSED)
def test_a_file_of_others_is_refused_in_one_line(name: str) -> None:
    assert re.search(REFUSED[name], refusal(DATA / name))


@real
def test_values_are_those_of_a_direct_read() -> None:
    raissi = open_dataset(DATA / "raissi-pinns/main/Data/NLS.mat")
    direct = scipy.io.loadmat(DATA / "raissi-pinns/main/Data/NLS.mat")["uu"]
    part = raissi.read("uu", {"t": slice(3, 40, 7), "x": slice(5, 9)})
    assert np.array_equal(part[:, 0] + 1j * part[:, 1], direct[5:9, 3:40:7].T)
    shock = open_dataset(DATA / "raissi-pinns/appendix/Data/burgers_shock.mat")
    npz = open_dataset(DATA / "deepxde/examples/dataset/Burgers.npz")
    assert np.abs(shock.read("usol") - npz.read("usol")).max() < 1e-14
    ldc = open_dataset(DATA / "jaxpi/examples/ldc/data/ldc_Re100.mat", dims={"u": ("x", "y"), "v": ("x", "y")})
    lid = ldc.read("u", {"y": -1})
    assert (lid[1:-1] == 1).all() and float(ldc.read("nu")) == 0.01  # the lid moves at the end of y
    darcy = "neuraloperator/neuralop/data/datasets/data/darcy_test_16.pt"
    y = torch.load(DATA / darcy, weights_only=True)["y"].numpy()
    assert np.array_equal(open_dataset(DATA / darcy).read("output", {"sample": 7}), y[7])
    cars = torch.load(DATA / "neuraloperator/neuralop/data/datasets/data/mini_car.pt", weights_only=True)
    opened = open_dataset(DATA / "neuraloperator/neuralop/data/datasets/data/mini_car.pt")
    assert np.array_equal(opened.read("press", {"sample": 2}), cars[2]["press"][0].numpy())
    cloud = opened.meshes[2]
    assert isinstance(cloud, PointCloud) and np.allclose(cloud.x.numpy(), cars[2]["vertices"].numpy())
    mat73 = open_dataset(DATA / "mat73/tests/testfile14.mat", dims={"data": ("sample", "_", "x", "y")})
    with h5py.File(DATA / "mat73/tests/testfile14.mat") as file:
        assert np.array_equal(mat73.read("data"), file["data"][()].T[:, 0])
    era = open_dataset(DATA / "neuralgcm/neuralgcm/data/era5_tl31_19590102T00.nc")
    with scipy.io.netcdf_file(DATA / "neuralgcm/neuralgcm/data/era5_tl31_19590102T00.nc", mmap=False) as file:
        raw = file.variables["temperature"].data
        assert np.array_equal(era.read("temperature", {"level": 4}), raw[4], equal_nan=True)
    ocean = open_dataset(DATA / "gridded/gridded/tests/test_data/WCOFS_subset.nc").read("u_sur")
    assert np.isnan(ocean).any() and np.nanmax(np.abs(ocean)) < 10  # fill values of 1e37 are gone
    burgers = open_dataset(DATA / "pinnacle/ref/burgers1d.dat").read("u", {"t": -1})
    assert np.array_equal(burgers, np.loadtxt(DATA / "pinnacle/ref/burgers1d.dat", comments="%")[:, -1])
    air = open_dataset(DATA / "cf-python/docs/source/sample_files/air_temperature.nc")
    assert air.coordinates["t"].label == "days since 1860-1-1" and air.coordinates["t"].axis.unit is None
    assert air.attributes["calendar"] == "360_day"
    assert air.coordinates["lon"].axis.periodic and air.variable("tas").unit == "K"
    # the order of a mesh file's points is kept for the fields
    vtk = open_dataset(DATA / "ezyrb/tests/test_datasets/matlab_00.vtk")
    mesh = vtk.meshes[0]
    assert isinstance(mesh, Mesh) and len(mesh.points) == 2500 and len(mesh.cells) == 4802


@real
def test_a_checked_file_solves_its_equation_on_the_axes_that_it_is_given() -> None:
    data = open_dataset(DATA / "raissi-deephpms/Data/burgers_sine.mat")
    grid = data.grid()
    (axis,) = grid.members
    assert axis.placement == "periodic" and axis.axis.length == 16.0
    u, dt = data.read("usol"), float(np.diff(data.coordinates["t"].points)[0])
    k = 2j * np.pi * np.fft.fftfreq(axis.size, axis.axis.length / axis.size)
    middle = u[60:100]
    spectrum = np.fft.fft(middle)
    rate = -middle * np.fft.ifft(k * spectrum).real + 0.1 * np.fft.ifft(k * k * spectrum).real
    slope = (u[61:101] - u[59:99]) / (2 * dt)
    assert np.linalg.norm(slope - rate) < 2e-3 * np.linalg.norm(rate)
