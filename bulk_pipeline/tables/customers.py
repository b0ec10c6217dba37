"""People who buy; known by their email address."""

from bulk_pipeline.schema import Column, Table
from bulk_pipeline.tables.columns import created_at, email, id_column, updated_at

TABLE = Table(
    name="customers",
    description="Customers, one row per email address.",
    columns=(
        id_column(),
        email(),
        Column(name="first_name", max_length=150),
        Column(name="last_name", max_length=150),
        Column(name="phone", max_length=64),
        Column(name="city", max_length=128),
        created_at(),
        updated_at(),
    ),
    primary_key=("id",),
    unique_keys=(("email",),),
    touch=("updated_at",),
)
