"""Splits a tower at its last blocks: the part below is frozen and runs once for each input, the part above is trained.

The part above runs as the whole tower does, with the blocks below skipped and the stored activations put in their
place. So it needs no knowledge of an architecture beyond the names of its blocks.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from glimpse.export.errors import ExportError, first_line

# The names of lists of blocks in transformers, timm and open_clip.
_LISTS = ("layer", "layers", "block", "blocks", "stages", "resblocks")
# ResNets have a list for each stage.
_STAGES = ("layer1", "layer2", "layer3", "layer4")
# Vectors of the two parts together may differ from those of the tower by this much.
_TOLERANCE = 1e-4

Weights = dict[str, Tensor]


class _ReachedError(Exception):
    """Stops a tower before its first trained block."""

    def __init__(self, activations: Tensor) -> None:
        self.activations = activations


class SplitTower:
    """A tower of which the last blocks, and all that follows them, are trained.

    Attributes:
        trained: the trained parameters by name. All others are frozen.
    """

    def __init__(self, tower: nn.Module, blocks: int, sample: tuple[Tensor, ...]) -> None:
        """Splits a tower.

        Args:
            tower: maps inputs to unit vectors (n, d). It stays in evaluation mode: statistics of batches are frozen.
            blocks: the number of blocks to train.
            sample: some inputs, to try the split on.

        Raises:
            ExportError: the tower's blocks are not known, are fewer, or cannot run without those below.
        """
        self._tower = tower.eval()
        every = blocks_of(tower)
        if not 1 <= blocks <= len(every):
            raise ExportError(f"{type(tower).__name__} has {len(every)} blocks; {blocks} cannot be trained")
        self._skipped, self._first = every[: len(every) - blocks], every[len(every) - blocks]
        self._tuples: set[nn.Module] = self._blocks_with_tuples(sample)
        self.check(sample)
        self.trained = self._find_trained(sample)
        for parameter in tower.parameters():
            parameter.requires_grad_(False)
        for parameter in self.trained.values():
            parameter.requires_grad_(True)

    def below(self, *inputs: Tensor) -> Tensor:
        """Returns the activations of the first trained block, without gradients."""
        with torch.no_grad():
            return self._below(inputs)

    def above(self, activations: Tensor, *inputs: Tensor) -> Tensor:
        """Returns unit vectors, (n, d), of stored activations.

        Args:
            activations: (n, …) as `below` returned them.
            inputs: ids and mask of the texts; of pictures any one of the right size, as nothing else depends on it.
        """
        with self._skipping(activations):
            vectors: Tensor = self._tower(*inputs)
        return vectors

    def weights(self) -> Weights:
        """Returns a copy of the trained parameters."""
        return {name: parameter.detach().clone() for name, parameter in self.trained.items()}

    def restore(self, weights: Mapping[str, Tensor]) -> None:
        """Sets the trained parameters."""
        with torch.no_grad():
            for name, parameter in self.trained.items():
                parameter.copy_(weights[name])

    def check(self, sample: tuple[Tensor, ...]) -> None:
        """Compares the two parts with the whole tower. Raises ExportError if they differ."""
        problem = f"the last blocks, of {type(self._first).__name__}, cannot run without those below them"
        with torch.no_grad():
            whole = self._tower(*sample)
            try:
                parts = self.above(self.below(*sample), *sample)
            except Exception as error:  # whatever a block raises that lacks an input
                raise ExportError(f"{problem}: {first_line(error)}") from error
        if whole.shape != parts.shape or not torch.allclose(whole, parts, atol=_TOLERANCE):
            raise ExportError(problem)

    def _below(self, inputs: tuple[Tensor, ...]) -> Tensor:
        def stop(_: nn.Module, positional: tuple[Any, ...], named: dict[str, Any]) -> None:
            raise _ReachedError(positional[0] if positional else named["hidden_states"])

        handle = self._first.register_forward_pre_hook(stop, with_kwargs=True)
        try:
            self._tower(*inputs)
        except _ReachedError as reached:
            return reached.activations
        finally:
            handle.remove()
        raise ExportError(f"{type(self._first).__name__} does not run in this tower")

    @contextmanager
    def _skipping(self, activations: Tensor) -> Iterator[None]:
        """Runs the tower on stored activations: blocks below return what they get, and the first gets these."""

        def replace(_: nn.Module, positional: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, Any]:
            if positional:
                return (activations, *positional[1:]), named
            return positional, {**named, "hidden_states": activations}

        with ExitStack() as stack:
            stack.callback(self._first.register_forward_pre_hook(replace, with_kwargs=True).remove)
            for block in self._skipped:
                setattr(block, "forward", _first_argument(block in self._tuples))  # noqa: B010
                stack.callback(delattr, block, "forward")
            yield

    def _blocks_with_tuples(self, sample: tuple[Tensor, ...]) -> set[nn.Module]:
        """Returns the blocks that return a tuple whose first part goes to the next."""
        result: set[nn.Module] = set()

        def note(block: nn.Module, _: Any, output: Any) -> None:
            if isinstance(output, tuple):
                result.add(block)

        with ExitStack() as stack, torch.no_grad():
            for block in self._skipped:
                stack.callback(block.register_forward_hook(note).remove)
            self._tower(*sample)
        return result

    def _find_trained(self, sample: tuple[Tensor, ...]) -> dict[str, nn.Parameter]:
        """Returns the parameters that the vectors depend on and the stored activations do not.

        Some, such as MPNet's position bias, belong to the blocks above and below.
        """
        parameters = dict(self._tower.named_parameters())
        for parameter in parameters.values():
            parameter.requires_grad_(True)
        with torch.enable_grad():
            activations = self._below(sample)
            above = self.above(activations.detach(), *sample)
        lower, upper = (_depends(value, parameters) for value in (activations, above))
        return {name: parameter for name, parameter in parameters.items() if name in upper - lower}


def blocks_of(tower: nn.Module) -> list[nn.Module]:
    """Returns a tower's blocks in their order; lists within lists are joined.

    Raises:
        ExportError: the architecture has no list of blocks with a known name.
    """
    for name, module in tower.named_modules():
        stages = [getattr(module, stage, None) for stage in _STAGES]
        if all(isinstance(stage, nn.Sequential) for stage in stages):
            return [block for stage in stages for block in _flat(stage)]
        if name.rpartition(".")[2] in _LISTS and isinstance(module, nn.ModuleList | nn.Sequential) and len(module) > 1:
            return _flat(module)
    raise ExportError(f"the blocks of this architecture are not known; known are lists with the names {_LISTS}")


def _flat(module: Any) -> list[nn.Module]:
    nested = isinstance(module, nn.ModuleList | nn.Sequential)
    return [block for child in module for block in _flat(child)] if nested else [module]


def _first_argument(as_tuple: bool) -> Callable[..., Any]:
    def forward(hidden_states: Tensor, *_: Any, **__: Any) -> Any:
        return (hidden_states,) if as_tuple else hidden_states

    return forward


def _depends(value: Tensor, parameters: Mapping[str, nn.Parameter]) -> set[str]:
    """Returns the names of the parameters that a value has a gradient for."""
    if not value.requires_grad:
        return set()
    gradients = torch.autograd.grad(value.sum(), list(parameters.values()), allow_unused=True)
    return {name for name, gradient in zip(parameters, gradients, strict=True) if gradient is not None}
