"""Reads images by class: a zip, or a folder where it lies, of PNG and JPEG files; or arrays of images.

`decoded` makes pixels of a file within limits, `arranged` finds classes and parts in the paths, `zipped` and
`folder` are the two places where files lie, `levels` makes whole levels of an array's numbers, `read` puts it
together, and `remarks` says what the images show.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
"""Levels of images, from 0 to 255."""
