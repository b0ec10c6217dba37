"""Finds invisible characters in cells, and describes the place of the first one for a failure's sentence."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.arrow.masks import mask
from bulk_pipeline.schema import invisible

_UNSEEN = f"[{invisible.INVISIBLE_CLASS}]"
_BESIDE = f"[^{invisible.INVISIBLE_CLASS}{invisible.ORDINARY}@]{{0,24}}"
_PLACE = f"(?P<before>{_BESIDE})(?P<character>{_UNSEEN})(?P<after>{_BESIDE})"


def invisible_in(cells: pa.Array) -> np.ndarray:
    """Return a mask of the texts with an invisible character."""
    return mask(pc.match_substring_regex(cells, _UNSEEN))


def named(cells: pa.Array) -> pa.Array:
    """Return each text's first invisible character with its place: `no-break space (U+00A0) after "example.com"`."""
    place = pc.extract_regex(cells, _PLACE)
    before, character, after = (place.field(i) for i in range(3))
    known = pc.unique(character)
    names = pa.array([invisible.name(one) for one in known.to_pylist()], pa.string())
    name = names.take(pc.index_in(character, known))
    behind = pc.binary_join_element_wise(name, ' after "', before, '"', "")
    ahead = pc.binary_join_element_wise(name, ' before "', after, '"', "")
    return pc.if_else(pc.not_equal(before, ""), behind, pc.if_else(pc.not_equal(after, ""), ahead, name))
