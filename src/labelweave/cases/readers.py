"""The readers of published data sets, by name."""

from labelweave.cases.aff_wild2 import AFF_WILD2
from labelweave.cases.affectnet import AFFECTNET
from labelweave.cases.bp4d import BP4D
from labelweave.cases.data_set import Reader
from labelweave.cases.disfa import DISFA
from labelweave.cases.emotionet import EMOTIONET
from labelweave.cases.raf_db import RAF_DB
from labelweave.errors import LabelweaveError, listing, nearest

READERS: dict[str, Reader] = {
    # affective computing
    "raf-db": RAF_DB,
    "affectnet": AFFECTNET,
    "aff-wild2": AFF_WILD2,
    "emotionet": EMOTIONET,
    "disfa": DISFA,
    "bp4d": BP4D,
    # face recognition
    # species
    # shopping
}


def find_reader(name: str) -> Reader:
    """Return the reader of a data set.

    Raises:
        LabelweaveError: there is none of that name.
    """
    if name not in READERS:
        raise LabelweaveError(
            f"no reader '{name}', expected {listing(READERS, 30)}{nearest(name, READERS)}"
        )
    return READERS[name]
