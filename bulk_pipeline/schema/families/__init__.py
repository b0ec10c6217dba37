"""The families of types that a column can have, one object each."""

from bulk_pipeline.schema.families.arrays import TEXT_ARRAY
from bulk_pipeline.schema.families.documents import DOCUMENTS
from bulk_pipeline.schema.families.numbers import NUMBERS
from bulk_pipeline.schema.families.others import OTHERS
from bulk_pipeline.schema.families.texts import TEXTS
from bulk_pipeline.schema.families.times import TIMES
from bulk_pipeline.schema.type_facts import TypeFamily

FAMILIES: tuple[TypeFamily, ...] = (
    *TEXTS,
    *NUMBERS,
    *TIMES,
    *DOCUMENTS,
    *OTHERS,
    TEXT_ARRAY,
)
