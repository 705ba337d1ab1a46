"""The layers of VGG: convolutions in stages, max pools between them, three fully-connected layers.

Names are torchvision's, where the layers stand in two numbered lists.
"""

from __future__ import annotations

from resnet_gen.network.draft import Draft, Feature
from resnet_gen.read.network_spec import VggSpec

POOLED = 7  # the height and width of the maps before the first fully-connected layer
WIDEST = 8  # times the first stage's filters, at most


def draft_vgg(draft: Draft, x: Feature, spec: VggSpec) -> None:
    """Adds all layers, from the images `x` to the scores."""
    place = relus = 0
    for index, convolutions in enumerate(spec.blocks):
        for _ in range(convolutions):
            width = spec.width * min(2**index, WIDEST)
            x = draft.convolution(f"features.{place}", x, width, 3, 1, bias=True)
            place, relus = place + 2, relus + 1  # a ReLU has a place in the list, too
            x = draft.relu(f"features.relu{relus}", x)
        x = draft.max_pool(f"features.max_pool{index + 1}", x, 2)
        place += 1
    x = draft.adaptive_pool("adaptive_average_pool1", x, POOLED)
    for index in range(2):
        x = draft.fully_connected(f"classifier.{3 * index}", x, spec.hidden)
        x = draft.relu(f"classifier.relu{index + 1}", x)
        x = draft.dropout(f"classifier.dropout{index + 1}", x, spec.dropout)
    draft.fully_connected("classifier.6", x, spec.classes)
