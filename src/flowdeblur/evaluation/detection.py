"""Compare what a detector finds on restored and on sharp frames (Fig. 7 of the paper)."""

from __future__ import annotations

import hashlib
import heapq
import math
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flowdeblur.errors import UserError
from flowdeblur.evaluation.restorers import Prediction
from flowdeblur.extras import import_extra
from flowdeblur.types import Sample

Image = NDArray[np.uint8]
Boxes = NDArray[np.float32]
"""(N, 4), left, top, right and bottom in pixels, the most certain first."""

_IOU = 0.5
_REMEMBERED = 8  # a frame is asked for by the score, and by the comparison over all frames


class Detector(Protocol):
    """Finds objects of one class in an image."""

    def __call__(self, image: Image) -> Boxes:
        """Return the boxes in (H, W, 3) RGB."""
        ...


class PeopleDetector:
    """OpenCV's people detector: histograms of oriented gradients and a linear SVM.

    Dalal and Triggs, CVPR 2005; its parameters are part of OpenCV 4. It finds upright people of
    about 100 pixels or more.

    Args:
        min_score: distance to the SVM's plane from which a box counts.

    Raises:
        UserError: OpenCV is not installed, or has no such detector (OpenCV 5).
    """

    def __init__(self, min_score: float = 0.0) -> None:
        cv2 = import_extra("cv2", "metrics")
        if not hasattr(cv2, "HOGDescriptor"):
            raise UserError(
                f"OpenCV {cv2.__version__} has no people detector: pip install "
                "'opencv-python-headless<5', or set detector to an ONNX model"
            )
        self._min_score, self._hog = min_score, cv2.HOGDescriptor()
        self._hog.setSVMDetector(cv2.HOGDescriptor_getDefaultPeopleDetector())

    def __call__(self, image: Image) -> Boxes:
        """Return the boxes in (H, W, 3) RGB."""
        found, scores = self._hog.detectMultiScale(
            np.ascontiguousarray(image[..., ::-1]), winStride=(8, 8), scale=1.05
        )
        boxes = np.asarray(found, np.float32).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        return _most_certain_first(boxes, np.ravel(scores), self._min_score)


class OnnxDetector:
    """A detector in a file, with the interface of torchvision's detectors after ONNX export.

    The input is one image, (3, H, W) or (1, 3, H, W), float32, RGB in [0, 1]; the outputs include
    ``boxes`` (N, 4) in pixels, ``labels`` (N,) and ``scores`` (N,).

    Args:
        path: the ONNX file.
        label: class to keep; 1 is a person in COCO.
        min_score: score from which a box counts.

    Raises:
        UserError: onnxruntime is not installed, or the file is no such model.
    """

    def __init__(self, path: Path, label: int = 1, min_score: float = 0.5) -> None:
        runtime: Any = import_extra("onnxruntime", "export")
        self._label, self._min_score = label, min_score
        try:
            self._session = runtime.InferenceSession(
                str(Path(path).expanduser()), providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # the runtime's errors have no common base class
            reason = str(error).splitlines()[0]
            raise UserError(f"{path}: cannot be read as an ONNX model ({reason})") from None
        names = {each.name for each in self._session.get_outputs()}
        if missing := {"boxes", "labels", "scores"} - names:
            raise UserError(
                f"{path}: has no output {sorted(missing)[0]}; export a detector whose outputs are "
                "named boxes, labels and scores, as torchvision's are"
            )

    def __call__(self, image: Image) -> Boxes:
        """Return the boxes in (H, W, 3) RGB."""
        (entry, *_) = self._session.get_inputs()
        values = np.ascontiguousarray(image.transpose(2, 0, 1), np.float32) / 255
        values = values[None] if len(entry.shape) == 4 else values
        outputs = self._session.run(["boxes", "labels", "scores"], {entry.name: values})
        boxes, labels, scores = (np.asarray(each) for each in outputs)
        wanted = labels.ravel() == self._label
        return _most_certain_first(
            boxes.reshape(-1, 4)[wanted], scores.ravel()[wanted], self._min_score
        )


class DetectionF1:
    """Agreement of the detections on a restored frame with those on the sharp frame.

    Twice the number of matched boxes, by the number of all boxes of both frames. Boxes match if
    they overlap by half (intersection over union 0.5 or more); each one matches once. Range: 0 to
    1; higher is better. Frames without any box have no score. Needs sharp frames.

    Args:
        detector: finds the boxes.
    """

    higher_is_better, partial = True, True

    def __init__(self, detector: Detector) -> None:
        self.detector = Remembering(detector)

    def __call__(self, restored: Tensor, sharp: Tensor) -> Tensor:
        """Score each frame (B, 3, H, W) -> (B,), NaN where there is no box."""
        pairs = zip(restored, sharp, strict=True)
        return restored.new_tensor([self._score(one, other) for one, other in pairs])

    def _score(self, restored: Tensor, sharp: Tensor) -> float:
        found, wanted = (self.detector(to_image(each)) for each in (restored, sharp))
        both = len(found) + len(wanted)
        return 2 * int(matched(found, wanted).sum()) / both if both else math.nan


class Remembering:
    """A detector that remembers the boxes of the last few images.

    Args:
        detector: is asked about other images.
    """

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self._known: OrderedDict[bytes, Boxes] = OrderedDict()

    def __call__(self, image: Image) -> Boxes:
        """Return the boxes in (H, W, 3) RGB."""
        digest = hashlib.blake2b(repr(image.shape).encode() + image.tobytes()).digest()
        if digest not in self._known:
            self._known[digest] = self._detector(image)
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return self._known[digest]


class Detected(NamedTuple):
    """A frame and its boxes.

    Attributes:
        image: (H, W, 3) uint8.
        boxes: what was found.
        matched: which of them match a box on the sharp frame, (N,) bool.
    """

    image: Image
    boxes: Boxes
    matched: NDArray[np.bool_]


class DetectionComparison:
    """Precision and recall over all frames, of each method against the sharp frames.

    Args:
        detector: finds the boxes.
        keep: number of frames to keep for the figure, those with most boxes on the sharp frame.
    """

    def __init__(self, detector: Detector, keep: int = 3) -> None:
        self._detector, self._keep = detector, keep
        self._counts: dict[str, list[int]] = {}  # boxes, matched
        self._frames: list[tuple[int, int, str, dict[str, Detected]]] = []
        self._seen = self._wanted = 0

    def __call__(self, sample: Sample, predictions: Mapping[str, Prediction]) -> None:
        """Compare the predictions of a frame."""
        sharp = to_image(sample["sharp"].float() / 255)
        truth = self._detector(sharp)
        self._wanted += len(truth)
        found = {}
        for name, prediction in predictions.items():
            image = to_image(prediction.restored)
            boxes = self._detector(image)
            found[name] = Detected(image, boxes, matched(boxes, truth))
            count = self._counts.setdefault(name, [0, 0])
            count[0] += len(boxes)
            count[1] += int(found[name].matched.sum())
        found["sharp"] = Detected(sharp, truth, np.ones(len(truth), bool))
        self._seen += 1
        entry = (len(truth), -self._seen, sample["key"], found)
        push = heapq.heappush if len(self._frames) < self._keep else heapq.heappushpop
        push(self._frames, entry)

    @property
    def frames(self) -> list[tuple[str, dict[str, Detected]]]:
        """Key, and what was found by method, of the frames with most boxes."""
        kept = sorted(self._frames, key=lambda each: each[:2], reverse=True)
        return [(key, found) for *_, key, found in kept]

    def summary(self) -> dict[str, Any]:
        """Count over all frames.

        Returns:
            ``sharp`` (boxes on the sharp frames), and by method ``boxes``, ``matched``,
            ``precision`` (matched / boxes) and ``recall`` (matched / sharp), None where undefined.
        """
        return {
            "iou": _IOU,
            "sharp": self._wanted,
            "methods": {
                name: {
                    "boxes": boxes,
                    "matched": hits,
                    "precision": hits / boxes if boxes else None,
                    "recall": hits / self._wanted if self._wanted else None,
                }
                for name, (boxes, hits) in self._counts.items()
            },
        }


def matched(boxes: Boxes, truth: Boxes) -> NDArray[np.bool_]:
    """Return which boxes match one of ``truth``; the most certain first, each one once."""
    hits = np.zeros(len(boxes), bool)
    free = list(range(len(truth)))
    for place, box in enumerate(boxes):
        overlaps = [(_overlap(box, truth[other]), other) for other in free]
        best, other = max(overlaps, default=(0.0, -1))
        if best >= _IOU:
            hits[place] = True
            free.remove(other)
    return hits


def to_image(frame: Tensor) -> Image:
    """A frame (3, H, W) as it would be saved: (H, W, 3) uint8."""
    levels = (frame.clamp(0, 1) * 255).round().to(torch.uint8)
    image: Image = levels.permute(1, 2, 0).contiguous().cpu().numpy()
    return image


def _overlap(one: Boxes, other: Boxes) -> float:
    """Intersection over union of two boxes (4,)."""
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    common = float(np.prod(sides.clip(min=0)))
    areas = [float(np.prod(each[2:] - each[:2])) for each in (one, other)]
    return common / max(sum(areas) - common, 1e-9)


def _most_certain_first(boxes: Boxes, scores: NDArray[Any], lowest: float) -> Boxes:
    order = np.argsort(-scores, kind="stable")
    return boxes[order[scores[order] >= lowest]].astype(np.float32)
