"""People who write and read."""

from bulk_pipeline.schema import Column, ColumnType, Mode, Table
from bulk_pipeline.tables.columns import created_at, email, id_column, updated_at

TABLE = Table(
    name="users",
    description="User accounts, one row per email address.",
    columns=(
        id_column(required_in=(Mode.INSERT_ONLY,)),
        email(),
        Column(name="name", required=True),
        Column(name="role", required=True, choices=("admin", "author", "editor", "reader")),
        Column(name="active", type=ColumnType.BOOLEAN, default=True),
        created_at(),
        updated_at(),
    ),
    primary_key=("id",),
    unique_keys=(("email",),),
    touch=("updated_at",),
)
