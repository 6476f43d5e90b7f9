from __future__ import annotations

import pytest
from tests.composition import make_model


@pytest.fixture
def network():
    return make_model("proposed", width=4)
