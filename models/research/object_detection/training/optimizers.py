"""Weight updates by TensorFlow 1's rules, with slots under TF1's names.

Each optimizer owns its slot variables and has two methods: `apply` makes one
update, `checkpoint_variables` names the slots as TF1 named them, so that a
run of the original can be continued here and the other way round. The rules
are computed by TensorFlow's own fused kernels, which is one pass over memory.

Keras' own SGD is no substitute: it keeps the learning rate inside the
velocity, so the two part as soon as the rate changes.
"""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import keras
import tensorflow as tf

Tensor = Any
Variables = Mapping[str, keras.Variable]


class Optimizer(Protocol):
    """What the training step needs of an optimizer."""

    def apply(
        self, gradients: Mapping[str, Tensor], learning_rate: Tensor
    ) -> None:
        """Updates the variables that have a gradient, and their slots."""

    def checkpoint_variables(self) -> dict[str, keras.Variable]:
        """Returns the slots by checkpoint name."""


class Momentum:
    """`velocity = momentum * velocity + g; w -= learning_rate * velocity`.

    Slots: `<variable>/Momentum`, from zero.
    """

    def __init__(self, variables: Variables, *, momentum: float) -> None:
        _require_share(momentum_optimizer_value=momentum)
        self._variables = dict(variables)
        self._momentum = momentum
        self._velocities = _slots(variables, 0.0)

    def apply(
        self, gradients: Mapping[str, Tensor], learning_rate: Tensor
    ) -> None:
        """Makes one update; see `Optimizer`."""
        for name, gradient in gradients.items():
            tf.raw_ops.ResourceApplyMomentum(
                var=_handle(self._variables[name]),
                accum=_handle(self._velocities[name]),
                lr=learning_rate,
                grad=gradient,
                momentum=self._momentum,
            )

    def checkpoint_variables(self) -> dict[str, keras.Variable]:
        """Returns `<variable>/Momentum` of each variable."""
        return {f"{n}/Momentum": v for n, v in self._velocities.items()}


class RMSProp:
    """Divides the gradient by its running root mean square.

    `ms = decay * ms + (1 - decay) * g^2` (from one), `mom = momentum * mom +
    learning_rate * g / sqrt(ms + epsilon)`, `w -= mom`. Slots:
    `<variable>/RMSProp` is ms, `<variable>/RMSProp_1` is mom.
    """

    def __init__(
        self,
        variables: Variables,
        *,
        momentum: float,
        decay: float,
        epsilon: float,
    ) -> None:
        _require_share(momentum_optimizer_value=momentum, decay=decay)
        self._variables = dict(variables)
        self._momentum = momentum
        self._decay = decay
        self._epsilon = epsilon
        self._mean_squares = _slots(variables, 1.0)
        self._steps = _slots(variables, 0.0)

    def apply(
        self, gradients: Mapping[str, Tensor], learning_rate: Tensor
    ) -> None:
        """Makes one update; see `Optimizer`."""
        for name, gradient in gradients.items():
            tf.raw_ops.ResourceApplyRMSProp(
                var=_handle(self._variables[name]),
                ms=_handle(self._mean_squares[name]),
                mom=_handle(self._steps[name]),
                lr=learning_rate,
                rho=self._decay,
                momentum=self._momentum,
                epsilon=self._epsilon,
                grad=gradient,
            )

    def checkpoint_variables(self) -> dict[str, keras.Variable]:
        """Returns `<variable>/RMSProp` and `/RMSProp_1` of each variable."""
        return {
            **{f"{n}/RMSProp": v for n, v in self._mean_squares.items()},
            **{f"{n}/RMSProp_1": v for n, v in self._steps.items()},
        }


class Adam:
    """Kingma & Ba, "Adam" (2014), epsilon outside the bias correction.

    Slots: `<variable>/Adam` and `<variable>/Adam_1` are the first and second
    moments; `beta1_power` and `beta2_power` count the updates.
    """

    def __init__(
        self,
        variables: Variables,
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
    ) -> None:
        _require_share(beta1=beta1, beta2=beta2)
        self._variables = dict(variables)
        self._beta1 = beta1
        self._beta2 = beta2
        self._epsilon = epsilon
        self._first_moments = _slots(variables, 0.0)
        self._second_moments = _slots(variables, 0.0)
        self._beta1_power = keras.Variable(beta1, trainable=False)
        self._beta2_power = keras.Variable(beta2, trainable=False)

    def apply(
        self, gradients: Mapping[str, Tensor], learning_rate: Tensor
    ) -> None:
        """Makes one update; see `Optimizer`."""
        for name, gradient in gradients.items():
            tf.raw_ops.ResourceApplyAdam(
                var=_handle(self._variables[name]),
                m=_handle(self._first_moments[name]),
                v=_handle(self._second_moments[name]),
                beta1_power=self._beta1_power.value,
                beta2_power=self._beta2_power.value,
                lr=learning_rate,
                beta1=self._beta1,
                beta2=self._beta2,
                epsilon=self._epsilon,
                grad=gradient,
            )
        self._beta1_power.assign(self._beta1_power * self._beta1)
        self._beta2_power.assign(self._beta2_power * self._beta2)

    def checkpoint_variables(self) -> dict[str, keras.Variable]:
        """Returns both moments of each variable and the two powers."""
        return {
            **{f"{n}/Adam": v for n, v in self._first_moments.items()},
            **{f"{n}/Adam_1": v for n, v in self._second_moments.items()},
            "beta1_power": self._beta1_power,
            "beta2_power": self._beta2_power,
        }


class MovingAverage:
    """Another optimizer, and a running mean of the weights that it makes.

    `average = decay * average + (1 - decay) * w` after each update, from the
    value that w has when this is made. Slots: those of the other optimizer
    and `<variable>/ExponentialMovingAverage`.
    """

    def __init__(
        self, optimizer: Optimizer, variables: Variables, *, decay: float
    ) -> None:
        _require_share(moving_average_decay=decay)
        self._optimizer = optimizer
        self._variables = dict(variables)
        self._decay = decay
        # A Keras variable made from a TensorFlow variable would share it.
        self._averages = {
            name: keras.Variable(tf.identity(variable.value), trainable=False)
            for name, variable in variables.items()
        }

    def apply(
        self, gradients: Mapping[str, Tensor], learning_rate: Tensor
    ) -> None:
        """Makes one update; see `Optimizer`."""
        self._optimizer.apply(gradients, learning_rate)
        for name in gradients:
            average, variable = self._averages[name], self._variables[name]
            average.value.assign_sub(
                (1.0 - self._decay) * (average.value - variable.value)
            )

    def checkpoint_variables(self) -> dict[str, keras.Variable]:
        """Returns the other's slots and the averages."""
        return {
            **self._optimizer.checkpoint_variables(),
            **{
                f"{n}/ExponentialMovingAverage": v
                for n, v in self._averages.items()
            },
        }

    @contextlib.contextmanager
    def averaged_weights(self) -> Iterator[None]:
        """Puts the averages in place of the weights while the block runs."""
        raw = {n: v.value.numpy() for n, v in self._variables.items()}
        for name, average in self._averages.items():
            self._variables[name].assign(average.value)
        try:
            yield
        finally:
            for name, value in raw.items():
                self._variables[name].assign(value)


def _slots(variables: Variables, value: float) -> dict[str, keras.Variable]:
    return {
        name: keras.Variable(
            keras.initializers.Constant(value),
            shape=variable.shape,
            dtype=variable.dtype,
            trainable=False,
        )
        for name, variable in variables.items()
    }


def _handle(variable: keras.Variable) -> Tensor:
    return variable.value.handle


def _require_share(**values: float) -> None:
    for name, value in values.items():
        if not 0.0 <= value <= 1.0:
            raise ValueError(f"{name}: must be from 0 to 1, got {value:g}")
