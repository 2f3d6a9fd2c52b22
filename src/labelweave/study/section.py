"""A part of a configuration."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A part of the study file; keys that it does not know are errors."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, serialize_by_alias=True
    )
