"""Alternating training (Ren et al. 2015, section 3.2): the RPN and the regions by turns."""

import torch
from torch import Tensor, nn

from detector import Detector

STEPS = 4


class StepLosses(nn.Module):
    """What one of the four steps trains, and its losses.

    1. The RPN and the trunk below it, which begins as the classifier's.
    2. The regions and a trunk of their own, which begins as the classifier's too, on the proposals
       of step 1.
    3. The RPN alone, on the trunk of step 2, which both share from here on. Its own layers go on
       from step 1; the paper does not say.
    4. The regions alone, on that trunk and the proposals of step 3.
    """

    def __init__(self, detector: Detector, step: int, proposer: Detector | None) -> None:
        super().__init__()
        self.detector, self.step = detector, step
        self.proposers = [proposer or detector]  # in a list: a module's parameters are trained
        trained = {
            1: [detector.backbone, detector.rpn],
            2: [detector.backbone, detector.roi_heads],
            3: [detector.rpn],
            4: [detector.roi_heads],
        }[step]
        self.weights = [weight for part in trained for weight in part.parameters()]
        detector.requires_grad_(False)
        for weight in self.weights:
            weight.requires_grad_(True)

    def forward(self, images: list[Tensor], objects: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        """The losses by their names, those of the RPN or those of the regions."""
        detector, (proposer,) = self.detector, self.proposers
        seen, objects = detector.transform(images, objects)
        maps = {"0": detector.backbone(seen.tensors)}
        if self.step in (1, 3):
            return detector.rpn(seen, maps, objects)[1]  # type: ignore[no-any-return]
        with torch.no_grad():
            own = maps if proposer is detector else {"0": proposer.backbone(seen.tensors)}
            proposals, _ = proposer.rpn(seen, own, objects)
        return detector.roi_heads(maps, proposals, seen.image_sizes, objects)[1]  # type: ignore[no-any-return]
