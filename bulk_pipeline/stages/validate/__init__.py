"""Text records -> typed rows, and a failure for every rule of the declaration that a row breaks by itself."""

from bulk_pipeline.stages.validate.checked import Checked, validate

__all__ = ["Checked", "validate"]
