"""The training half of the replay: four steps, and what rounding makes of them.

Batch normalisation over two images, activations that saturate and a miner that
picks whole anchors turn a last bit into percents within four steps, in some
networks more than in others. How much is measured here: the same four steps
are made again from weights that are changed by as much as rounding changes the
sums over a map, and what these runs differ by is what a recorded run may
differ by and be the same.
"""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import comparison
import golden
import numpy as np
from keras import ops

from object_detection.builders import image_resizer_builder, model_builder
from object_detection.core import containers
from object_detection.core.standard_fields import LossFields
from object_detection.training import (
    learning_schedules,
    optimizers,
    trainer,
)

NUM_STEPS = 4
LEARNING_RATE = 1e-3
MOMENTUM = 0.9

NUM_PERTURBED_RUNS = 5
# A few runs do not show the largest distance that there can be.
_LOSS_MARGIN = 2.0
_SHARE_MARGIN = 0.9

_LOSS_FIELDS = (
    LossFields.localization_loss,
    LossFields.classification_loss,
    LossFields.regularization_loss,
    LossFields.total_loss,
)
_LOSS_LIMITS = (2e-4, 2e-3, 2e-2, 2e-2)
# The relative difference agreed on, then one that shows what is far off.
_DELTA_TOLERANCES = (5e-2, 2e-1)
_MOVING_DELTA_TOLERANCES = (5e-3, 1e-1)


class Run(NamedTuple):
    """What four steps of training made.

    Attributes:
        losses: float [NUM_STEPS, 4], before each update.
        norms: L2 norm of each variable afterwards.
        delta_norms: L2 norm of the change of each variable.
    """

    losses: np.ndarray
    norms: dict[str, float]
    delta_norms: dict[str, float]


class Trainer:
    """A detector with the recorded weights, trained as often as asked."""

    def __init__(
        self,
        recorded: golden.Golden,
        images: np.ndarray,
        groundtruth: containers.Groundtruth,
    ) -> None:
        model = model_builder.build(recorded.model_config, is_training=True)
        self._groundtruth = groundtruth
        resizer = image_resizer_builder.build(
            recorded.model_config.ssd.image_resizer
        )
        self._images, self._true_shapes = resizer(ops.convert_to_tensor(images))
        self._perturbation = rounding_of_sums(self._images)
        self._weights = model.checkpoint_variables()
        self._state = trainer.TrainState(
            model,
            trainer.TrainOptions(
                make_optimizer=lambda variables: optimizers.Momentum(
                    variables, momentum=MOMENTUM
                ),
                learning_rate=lambda step: learning_schedules.constant(
                    step, learning_rate=LEARNING_RATE
                ),
            ),
        )
        self._first_values = {
            name: np.asarray(variable.value)
            for name, variable in self._state.checkpoint_variables().items()
        }
        self._step = trainer.make_train_step(self._state)
        self.trained_names = set(self._state.trained_variables)
        self.moving_names = {
            name for name, v in self._weights.items() if not v.trainable
        }

    def run(self, perturbation_seed: int | None = None) -> Run:
        """Makes the steps from the recorded weights, or from near them."""
        first = dict(self._first_values)
        for name, variable in self._weights.items():
            value = golden.golden_weights(name, variable.shape)
            if perturbation_seed is not None:
                noise = np.random.default_rng(
                    [perturbation_seed, len(first), value.size]
                ).standard_normal(value.shape)
                value = (value * (1 + self._perturbation * noise)).astype(
                    "float32"
                )
            first[name] = value
        for name, variable in self._state.checkpoint_variables().items():
            variable.assign(first[name])
        results = [
            self._step(self._images, self._true_shapes, self._groundtruth)
            for _ in range(NUM_STEPS)
        ]
        last = {name: np.asarray(v.value) for name, v in self._weights.items()}
        return Run(
            np.array(
                [
                    [float(result.losses[field]) for field in _LOSS_FIELDS]
                    for result in results
                ]
            ),
            {name: np.linalg.norm(value) for name, value in last.items()},
            {
                name: np.linalg.norm(value - first[name])
                for name, value in last.items()
            },
        )


def rounding_of_sums(images_BHW3: np.ndarray) -> float:
    """Returns by how much of itself a sum over the first map may be off.

    The original added up batch statistics one value after the other; n float32
    additions are off by about sqrt(n) * 2**-24. The first map of every network
    has half the height and width of the images.
    """
    num_images, height, width, _ = images_BHW3.shape
    return float(np.sqrt(num_images * height * width / 4) * 2.0**-24)


def replay(
    recorded: golden.Golden,
    images: np.ndarray,
    groundtruth: containers.Groundtruth,
) -> Iterator[comparison.Comparison]:
    """Yields the comparison of every quantity of training."""
    expected = recorded.values
    own = Trainer(recorded, images, groundtruth)
    run = own.run()
    others = [own.run(seed) for seed in range(NUM_PERTURBED_RUNS)]
    yield from _compare_losses(expected["train_losses"], run, others)
    yield comparison.compare_sets(
        "final_norm_names", expected["final_norm_names"], own.trained_names
    )
    names = [str(name) for name in expected["final_norm_names"]]
    yield comparison.compare_most(
        "final_norms",
        expected["final_norms"],
        [run.norms[name] for name in names],
        5e-2,
    )
    yield comparison.compare_sets(
        "moving_names", expected["moving_names"], own.moving_names
    )
    for key, names_key, tolerances in (
        ("final_delta_norms", "final_norm_names", _DELTA_TOLERANCES),
        ("moving_delta_norms", "moving_names", _MOVING_DELTA_TOLERANCES),
    ):
        names = [str(name) for name in expected[names_key]]
        own_norms = [
            np.array([r.delta_norms[name] for name in names])
            for r in (run, *others)
        ]
        for tolerance in tolerances:
            own_share = min(
                np.mean(comparison.is_close(one, other, tolerance))
                for one, other in itertools.combinations(own_norms, 2)
            )
            yield comparison.compare_most(
                key,
                expected[key],
                own_norms[0],
                tolerance,
                least_share_rounded=_SHARE_MARGIN * own_share,
            )


def _compare_losses(
    expected: np.ndarray, run: Run, others: list[Run]
) -> Iterator[comparison.Comparison]:
    spread = np.ptp([r.losses for r in (run, *others)], axis=0)
    for row, limit in enumerate(_LOSS_LIMITS):
        for column, field in enumerate(_LOSS_FIELDS):
            rounding = _LOSS_MARGIN * spread[row, column]
            yield comparison.compare_scalar(
                f"train_losses[{row}] {field}",
                expected[row, column],
                run.losses[row, column],
                limit,
                rounding_limit=rounding / abs(expected[row, column]),
            )
