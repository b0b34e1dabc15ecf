"""Fixtures of the builders' tests."""

import pytest

from object_detection.builders import (
    box_predictor_builder,
    feature_extractor_builder,
)


@pytest.fixture
def networks_built_once(monkeypatch):
    """Keeps networks, which take the time, for builds that differ elsewhere."""

    def build_once(build):
        built = {}

        def build_or_get(config, *arguments, **settings):
            key = f"{config} {arguments} {settings}"
            if key not in built:
                built[key] = build(config, *arguments, **settings)
            return built[key]

        return build_or_get

    for builder in (feature_extractor_builder, box_predictor_builder):
        monkeypatch.setattr(builder, "build", build_once(builder.build))
