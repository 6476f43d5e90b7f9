"""Detections: matching by hand, an ONNX detector, the people detector, whole evaluations."""

from __future__ import annotations

import csv
import json
import math
from types import SimpleNamespace

import cv2
import numpy as np
import onnx
import pytest
import skimage.data
import torch
from onnx import TensorProto, helper
from PIL import Image, ImageDraw
from tests.cli.conftest import make_weights

from flowdeblur.cli import main
from flowdeblur.errors import UserError
from flowdeblur.evaluation import detection
from flowdeblur.evaluation.detection import (
    DetectionComparison,
    DetectionF1,
    OnnxDetector,
    PeopleDetector,
    Remembering,
    matched,
)
from flowdeblur.evaluation.restorers import Prediction
from flowdeblur.video.images import write_image


def boxes(*rows):
    return np.array(rows, np.float32).reshape(-1, 4)


def test_boxes_match_once_and_from_half_an_overlap_on():
    truth = boxes((0, 0, 10, 10), (20, 0, 30, 10))
    half = (0, 0, 10, 20)  # common 100, together 200
    less = (0, 0, 10, 20.1)
    assert matched(boxes(half), truth).tolist() == [True]
    assert matched(boxes(less), truth).tolist() == [False]
    assert matched(boxes((0, 0, 10, 10), (0, 0, 10, 9), (21, 0, 31, 10)), truth).tolist() == [
        *(True, False, True)
    ]
    assert matched(boxes(), truth).tolist() == []
    assert matched(truth, boxes()).tolist() == [False, False]


def white_squares(image):
    """A detector of the tests: every connected white area is a box."""
    _, _, stats, _ = cv2.connectedComponentsWithStats((image.min(-1) > 127).astype(np.uint8))
    found = stats[1:, :4].astype(np.float32)
    found[:, 2:] += found[:, :2]
    return found


def frame(*squares):
    canvas = Image.new("RGB", (64, 48))
    for left, top in squares:
        ImageDraw.Draw(canvas).rectangle((left, top, left + 9, top + 9), fill="white")
    return torch.from_numpy(np.array(canvas)).permute(2, 0, 1)


def test_f1_and_the_comparison_count_known_boxes():
    asked = []
    detector = Remembering(lambda image: asked.append(1) or white_squares(image))
    sharp = [frame((5, 5), (30, 20)), frame((40, 30)), frame()]
    restored = [frame((6, 6), (50, 5)), frame((40, 30)), frame()]
    metric = DetectionF1(detector)
    scores = metric(torch.stack(restored) / 255, torch.stack(sharp) / 255).tolist()
    assert scores == pytest.approx([0.5, 1.0, math.nan], nan_ok=True)

    comparison = DetectionComparison(detector, keep=1)
    for number, (one, other) in enumerate(zip(restored, sharp, strict=True)):
        comparison({"key": f"a/{number}", "sharp": other}, {"restored": Prediction(one / 255)})
    summary = comparison.summary()
    expected = {"boxes": 3, "matched": 2, "precision": 2 / 3, "recall": 2 / 3}
    assert (summary["sharp"], summary["methods"]["restored"]) == (3, pytest.approx(expected))
    ((key, found),) = comparison.frames
    assert key == "a/0"
    assert found["restored"].matched.tolist() == [False, True]  # from top to bottom
    assert len(asked) == 4  # the last pair and one other are equal images


@pytest.mark.skipif(not hasattr(cv2, "HOGDescriptor"), reason="OpenCV 5 has no people detector")
def test_the_people_detector_is_that_of_opencv():
    image = skimage.data.astronaut()
    hog = cv2.HOGDescriptor()
    hog.setSVMDetector(cv2.HOGDescriptor_getDefaultPeopleDetector())
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    found, scores = hog.detectMultiScale(bgr, winStride=(8, 8), scale=1.05)
    assert len(found) > 0
    expected = [[x, y, x + w, y + h] for x, y, w, h in found[np.argsort(-scores.ravel())].tolist()]
    assert PeopleDetector()(image).tolist() == expected
    assert len(PeopleDetector(min_score=100)(image)) == 0


def test_without_a_people_detector_the_remedy_is_named(monkeypatch):
    modern = SimpleNamespace(__version__="5.0.0")
    monkeypatch.setattr(detection, "import_extra", lambda *_: modern)
    with pytest.raises(UserError, match=r"OpenCV 5.0.0 has no people detector: pip install"):
        PeopleDetector()


@pytest.fixture
def model(tmp_path):
    """A model that finds the same three boxes in every image, of classes 1, 2 and 1."""
    constants = {
        "boxes": np.array([[8, 8, 24, 40], [0, 0, 4, 4], [30, 8, 50, 40]], np.float32),
        "labels": np.array([1, 2, 1], np.int64),
        "scores": np.array([0.6, 0.9, 0.8], np.float32),
    }
    nodes = [
        helper.make_node("Constant", [], [name], value=onnx.numpy_helper.from_array(value))
        for name, value in constants.items()
    ]
    kinds = {"boxes": TensorProto.FLOAT, "labels": TensorProto.INT64, "scores": TensorProto.FLOAT}
    outputs = [
        helper.make_tensor_value_info(name, kinds[name], value.shape)
        for name, value in constants.items()
    ]
    entry = helper.make_tensor_value_info("image", TensorProto.FLOAT, (1, 3, "h", "w"))
    graph = helper.make_graph(nodes, "detector", [entry], outputs)
    path = tmp_path / "detector.onnx"
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path
    )
    return path


def test_a_detector_in_a_file(model, tmp_path):
    image = np.zeros((48, 64, 3), np.uint8)
    assert OnnxDetector(model)(image).tolist() == [[30, 8, 50, 40], [8, 8, 24, 40]]
    assert OnnxDetector(model, min_score=0.7)(image).tolist() == [[30, 8, 50, 40]]
    assert OnnxDetector(model, label=2)(image).tolist() == [[0, 0, 4, 4]]
    with pytest.raises(UserError, match=r"absent\.onnx: cannot be read as an ONNX model"):
        OnnxDetector(tmp_path / "absent.onnx")
    other = onnx.load(model)
    other.graph.output[2].name = other.graph.node[2].output[0] = "certainty"
    onnx.save(other, tmp_path / "other.onnx")
    with pytest.raises(UserError, match=r"other\.onnx: has no output scores"):
        OnnxDetector(tmp_path / "other.onnx")


def test_evaluate_compares_detections_and_draws_them(model, tmp_path, capsys):
    for kind, shift in (("blurry", 3), ("sharp", 0)):
        folder = tmp_path / "data" / "val" / "clip" / kind
        folder.mkdir(parents=True)
        for number in range(2):
            image = np.roll(np.full((48, 64, 3), 40 + 20 * number, np.uint8), shift, 1)
            write_image(folder / f"{number}.png", image)
    weights = make_weights(tmp_path / "weights.safetensors")
    out = tmp_path / "out"
    status = main(
        ["evaluate", "data=frames", f"data.root={tmp_path / 'data'}", "data.workers=0",
         "device=cpu", f"weights={weights}", "metrics=detection_onnx", f"hydra.run.dir={out}",
         f"metrics.detection_f1.detector.path={model}"]
    )  # fmt: skip
    assert status == 0
    assert "detections  boxes  matched  precision  recall" in capsys.readouterr().out
    found = json.loads((out / "metrics.json").read_text())["detection"]
    assert found["sharp"] == 4
    assert found["methods"]["restored"] == {
        "boxes": 4, "matched": 4, "precision": 1.0, "recall": 1.0,
    }  # fmt: skip
    with (out / "frames.csv").open() as file:
        assert {line["detection_f1"] for line in csv.DictReader(file)} == {"1.000000"}
    drawn = np.asarray(Image.open(out / "detections_clip_0.png"))
    assert drawn.shape[1] == 3 * 64 + 2 * 4
    assert (drawn == (60, 220, 90)).all(-1).any()
