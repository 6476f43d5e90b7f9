"""The examples in docstrings of the packages that other programs call."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest
import torch

PACKAGES = ["flowdeblur.ops", "flowdeblur.blur", "flowdeblur.networks", "flowdeblur.evaluation"]
PACKAGES += ["flowdeblur.weights"]
NAMES = [
    each.name
    for package in PACKAGES
    for each in pkgutil.iter_modules(importlib.import_module(package).__path__, f"{package}.")
    if not each.ispkg
]


@pytest.mark.parametrize("name", NAMES)
def test_examples(name):
    module = pytest.importorskip(name, exc_type=ImportError)  # of a library of an extra
    for example in doctest.DocTestFinder(exclude_empty=True).find(
        module, extraglobs={"torch": torch}
    ):
        assert doctest.DocTestRunner(verbose=False).run(example).failed == 0, example.name


def test_functions_that_programs_call_have_an_example():
    import flowdeblur.ops
    from flowdeblur import blur, evaluation, networks, weights

    called = [
        *(getattr(flowdeblur.ops, name) for name in flowdeblur.ops.__all__),
        *(weights.load, weights.locate, weights.describe),
        *(evaluation.AllFrames, evaluation.WithoutEnds, evaluation.Numbered, evaluation.NamedLike),
        *(evaluation.rounded, evaluation.truncated, evaluation.mean_of_frames),
        importlib.import_module(f"{networks.__name__}.inference").infer,
        importlib.import_module(f"{blur.__name__}.kernels").reblur,
    ]
    assert [each for each in called if ">>>" not in (each.__doc__ or "")] == []
