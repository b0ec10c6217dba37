"""Converts text records to typed rows, with a failure for every declared rule that a row breaks by itself."""

from bulk_pipeline.stages.validate.checked import ValidationResult, validate

__all__ = ["ValidationResult", "validate"]
