"""The readers of published data sets, by name."""

from labelweave.cases.aff_wild2 import AFF_WILD2
from labelweave.cases.affectnet import AFFECTNET
from labelweave.cases.awa2 import AWA2
from labelweave.cases.bp4d import BP4D
from labelweave.cases.celeba import CELEBA
from labelweave.cases.clothing_attributes import CLOTHING_ATTRIBUTES
from labelweave.cases.cub import CUB
from labelweave.cases.data_set import Reader
from labelweave.cases.deepfashion import DEEPFASHION
from labelweave.cases.disfa import DISFA
from labelweave.cases.emotionet import EMOTIONET
from labelweave.cases.lfw import LFW
from labelweave.cases.raf_db import RAF_DB
from labelweave.cases.shoes import SHOES
from labelweave.cases.ut_zappos import UT_ZAPPOS
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
    "celeba": CELEBA,
    "lfw": LFW,
    # species
    "cub": CUB,
    "awa2": AWA2,
    # shopping
    "ut-zappos": UT_ZAPPOS,
    "shoes": SHOES,
    "clothing-attributes": CLOTHING_ATTRIBUTES,
    "deepfashion": DEEPFASHION,
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
