"""Typed rows -> good and rejected ones, in file order: references, and keys that the file uses twice."""

from bulk_pipeline.stages.split.alike import alike_keys
from bulk_pipeline.stages.split.checks import References, SplitResult, split, split_again

__all__ = ["References", "SplitResult", "alike_keys", "split", "split_again"]
