"""onnxruntime says what torch says: of every model that comes with mien, in files for others and in `predict`."""

import json
import sys
from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

import mien
from mien.apps.models import export_onnx, input_of, load_models
from mien.errors import ConfigError, ModelError
from mien.models.onnx import OnnxPart

SHIPPED = sorted((Path(__file__).parents[2] / "resources" / "models").glob("*.safetensors"))
CLOSE = {"rtol": 0, "atol": 1e-4}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_the_file_and_the_runtime_say_what_torch_says(path, tmp_path):
    export_onnx(tmp_path, checkpoint=[path])
    file = onnxruntime.InferenceSession(tmp_path / f"{path.stem}.onnx")
    (model,), (ours,) = load_models([path]), load_models([path], runtime="onnx")
    assert tuple(json.loads(file.get_modelmeta().custom_metadata_map["classes"])) == model.settings.classes
    assert any(isinstance(part, OnnxPart) for part in ours.network.modules())
    name, shape = input_of(model)
    rng = np.random.default_rng(0)
    for batch in (1, 3, 8):
        values = (
            rng.normal(100, 50, (batch, *shape)).clip(0, 255) if name == "video" else rng.normal(size=(batch, *shape))
        )
        inputs = {name: torch.from_numpy(values.astype(np.float32))}
        own = [{name: lambda network, other=inputs[name] / 2: network.branches[name](other)}] * batch
        with torch.no_grad():
            said = model.network(inputs)["fused"].numpy()
            np.testing.assert_allclose(ours.network(inputs)["fused"], said, **CLOSE)
            if model.by_subject:
                referred = model.network(inputs, references=own)["fused"].numpy()
                np.testing.assert_allclose(ours.network(inputs, references=own)["fused"], referred, **CLOSE)
                assert abs(referred - said).max() > 0.01
        np.testing.assert_allclose(file.run(["fused"], {name: inputs[name].numpy()})[0], said, **CLOSE)
        assert batch == 1 or np.ptp(said, axis=0).max() > 0.01


@pytest.mark.parametrize("of", ["shipped", "N2_units"])
def test_a_clip_gets_the_same_rows(of, run_predict, models, media_folder, tmp_path):
    found = {}
    for runtime in ("torch", "onnx"):
        files = [models[of]] if of in models else SHIPPED
        error, _, _ = run_predict(media_folder / "both.mp4", out=tmp_path / runtime, checkpoint=files, runtime=runtime)
        assert not error
        found[runtime] = json.loads((tmp_path / runtime / "both.json").read_text())
    rows = [[found[runtime]["verdict"], *found[runtime]["timeline"]] for runtime in ("torch", "onnx")]
    for theirs, ours in zip(*rows, strict=True):
        assert theirs["label"] == ours["label"] is not None
        assert ours["probabilities"] == pytest.approx(theirs["probabilities"], abs=2e-4)  # both of four digits


def test_what_cannot_be_is_refused(run_predict, models, media_folder, tmp_path, monkeypatch):
    judge = partial(run_predict, media_folder / "voice.wav", checkpoint=[models["AM"]])
    assert judge(runtime="tensorrt")[0] == "--runtime tensorrt: there are torch and onnx"
    with pytest.raises(ConfigError, match="runtime tensorrt"):
        mien.load_models(models["AM"].parent, runtime="tensorrt")
    with pytest.raises(ModelError, match="AM of ravdess looks at audio in steps"):
        export_onnx(tmp_path, checkpoint=[models["AM"]])
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert judge(runtime="onnx")[0] == "onnxruntime is not installed; pip install 'mien[onnx]' installs it"
