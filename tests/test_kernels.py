"""Equal seeds give equal bits on every x86-64 processor with AVX2: digests that were had on one must be had on all.

A digest changes with what is computed, too: then, and only then, take over the new one.
"""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from mien import kernels
from mien.candide.fit import fit_frames, fit_shapes
from mien.candide.mesh import LANDMARKS, VERTICES, load_mesh
from mien.classical.svm import fit_svm
from mien.config.schema import CandideConfig
from mien.io.media import write_video
from mien.io.randomness import rng_for
from mien.models.layout import to_device
from mien.models.mrpn import build
from mien.synthetic.people import CLEAR, person_for
from mien.synthetic.performance import perform
from mien.training.engine import prepare

CANDIDE = CandideConfig(landmarks="printed", ridge=1e-3, warm_start=True, evaluations=100, tolerance=1e-8)


def train_networks(_):
    """Train MRPN with every aggregator, and one with a 3D backbone, for three batches; yield weights and logits."""
    prepare(1)
    rng = rng_for(0, "inputs")
    shapes = {"video": (8, 2, 3, 64, 64), "audio": (8, 4, 1, 33, 32)}
    inputs = {name: torch.from_numpy(rng.standard_normal(shape, np.float32)) for name, shape in shapes.items()}
    labels = torch.from_numpy(rng.integers(0, 8, 8))
    for aggregator, trunk in (("lstm", {}), ("transformer", {}), ("bilstm", {"video": "resnet3d18"})):
        torch.manual_seed(0)
        options = {"aggregator": aggregator, "side_head": "dense", "classes": 8, "width": 8, "dropout": 0.1}
        network = to_device(build(list(shapes), fusion="mrpn", trunk=trunk, **options), "cpu")
        optimizer = torch.optim.AdamW(network.parameters(), 1e-3)
        for _ in range(3):
            optimizer.zero_grad()
            sum(torch.nn.functional.cross_entropy(head, labels) for head in network(inputs).values()).backward()
            optimizer.step()
        with torch.no_grad():
            logits = network.eval()(inputs)
        yield from (weight.detach().contiguous().numpy() for weight in [*network.parameters(), *logits.values()])


def synthesise(folder):
    """Let a person speak, and write the film."""
    take = {"emotion": "happy", "intensity": 1.0, "sentence": "kids", "size_px": 128, "rate_fps": 10, "rate_hz": 16000}
    shown = perform(person_for(0, "test", "01", "male"), **take, video=CLEAR, audio=CLEAR, rng=rng_for(0, "take"))
    yield from (shown.frames, shown.wave, shown.units, shown.pose)
    path = folder / "film.mp4"
    write_video(path, shown.frames, rate_fps=10, wave=shown.wave, rate_hz=16000)
    yield np.frombuffer(path.read_bytes(), np.uint8)


def fit_faces(_):
    """Fit shape and units of noisy projections of the mesh."""
    rng = rng_for(0, "faces")
    vertices = load_mesh().vertices[None, :, :2] + rng.normal(0, 0.03, (12, 113, 2))
    landmarks = np.full((12, 68, 2), np.nan)
    landmarks[:, list(LANDMARKS)] = 100 * vertices[:, list(VERTICES["printed"])] * [1, -1] + 200
    shapes, _ = fit_shapes(landmarks[:4], CANDIDE)
    frames = fit_frames(landmarks, found=np.ones(12, bool), recordings=[np.arange(12)], shape=shapes[0], config=CANDIDE)
    yield from (shapes, frames.units, frames.rotation, frames.scale, frames.origin, frames.residual)


def fit_machines(_):
    """Fit both support-vector machines."""
    rng = rng_for(0, "machines")
    labels = np.arange(80) % 4
    features = rng.standard_normal((80, 10)) + rng.standard_normal((4, 10))[labels]
    people = np.array([f"p{k // 4}" for k in range(80)])
    for model in ("ssvm", "svm_poly"):
        yield fit_svm(features, labels, people, model=model, standardise=True, seed=0).logits(features)


DIGESTS = {
    train_networks: "91cccaae618d3f9b",
    synthesise: "8a042dd028194501",
    fit_faces: "00b8e88b1c4f91ad",
    fit_machines: "f604521e4c896f70",
}


@pytest.mark.parametrize("make", DIGESTS, ids=lambda make: make.__name__)
def test_equal_seeds_give_the_bits_of_any_other_processor(make, tmp_path):
    if reasons := kernels.deviations():
        pytest.skip("; ".join(reasons))
    digest = hashlib.sha256()
    for array in make(tmp_path):
        assert np.isfinite(array).all()
        digest.update(np.ascontiguousarray(array).tobytes())
    assert digest.hexdigest()[:16] == DIGESTS[make]


def test_kernels_are_pinned_before_a_library_is_imported():
    code = "import sys, mien; print(*sys.modules); import torch; print(torch.backends.cpu.get_cpu_capability())"
    env = os.environ | {"ATEN_CPU_CAPABILITY": "default", "OMP_NUM_THREADS": "8"}
    result = subprocess.run([sys.executable, "-c", code], env=env, check=True, capture_output=True, text=True)
    loaded, capability = result.stdout.splitlines()
    assert not {"torch", "numpy", "cv2", "scipy"} & set(loaded.split())
    assert capability == "AVX2" or kernels.deviations()
    assert {name: os.environ[name] for name in kernels.PINNED} == kernels.PINNED


def test_a_machine_whose_numbers_differ_is_told(monkeypatch, tmp_path, caplog):
    monkeypatch.setattr(kernels.platform, "machine", lambda: "aarch64")
    kernels.warn()
    assert "the processor is aarch64, not x86-64" in caplog.text
    monkeypatch.setattr(kernels.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(kernels, "_CPU", tmp_path / "cpuinfo")
    kernels._CPU.write_text("flags\t\t: fpu sse4_2 avx\n")
    assert "the processor has no AVX2" in kernels.deviations()


@pytest.mark.parametrize(("first", "named"), [("numpy, mien", "numpy"), ("mien, numpy", "")])
def test_a_library_that_is_imported_before_is_named(first, named):
    code = f"import {first}; from mien import kernels; kernels.pin(); print(kernels.deviations())"
    env = {name: value for name, value in os.environ.items() if name not in kernels.PINNED}
    said = subprocess.run([sys.executable, "-c", code], env=env, check=True, capture_output=True, text=True).stdout
    assert ("numpy had been imported" in said) == bool(named)
