"""What is added to the gradients of local training, so that workers with unlike data do not drift apart.

Both rules are a closed form in numbers and tensors: nothing that a client sends is called.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from fedzmq.worker.training.gradients import Gradients


class Correction:
    """Adds `strength * (parameter - anchor)`, and `drift` where there is one, to each gradient that is not None.

    With a strength alone it is the gradient of the proximal term of FedProx (Li et al. 2020, equation 2), and with
    drifts alone the correction of SCAFFOLD (Karimireddy et al. 2020, algorithm 1, line 10), where a drift is the global
    control variate less the worker's own.
    """

    def __init__(
        self,
        parameters: Sequence[torch.Tensor],
        anchors: Sequence[torch.Tensor],
        strength: float,
        drift: Sequence[torch.Tensor] = (),
    ) -> None:
        self._parameters = parameters
        self._anchors = anchors
        self._strength = strength
        self._drift = drift

    @torch.no_grad()
    def __call__(self, gradients: Gradients) -> list[torch.Tensor | None]:
        """The first gradients are those of the parameters; what comes after them stays as it is."""
        corrected = list(gradients)
        pairs = [(place, each) for place, each in enumerate(gradients[: len(self._parameters)]) if each is not None]
        if not pairs:
            return corrected
        used, sums = [place for place, _ in pairs], [each for _, each in pairs]
        if self._strength:
            pulls = torch._foreach_sub(_chosen(self._parameters, used), _chosen(self._anchors, used))
            sums = list(torch._foreach_add(sums, pulls, alpha=self._strength))
        if self._drift:
            sums = list(torch._foreach_add(sums, _chosen(self._drift, used)))
        for place, each in zip(used, sums, strict=True):
            corrected[place] = each
        return corrected


def _chosen(tensors: Sequence[torch.Tensor], used: Sequence[int]) -> list[torch.Tensor]:
    return [tensors[place] for place in used]
