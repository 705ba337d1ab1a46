"""What torch.hub.load finds in a clone: the entry points that `resnet-gen generate --all` wrote."""

import pathlib
import runpy

globals().update(runpy.run_path(str(pathlib.Path(__file__).parent / "generated" / "hubconf.py")))
