"""Comments of users on articles; the only key is the id."""

from bulk_pipeline.schema import Column, ColumnType, ForeignKey, Table
from bulk_pipeline.tables.columns import created_at

TABLE = Table(
    name="comments",
    description="Comments by users on articles.",
    columns=(
        Column(name="id", type=ColumnType.UUID, prefix="cm_"),
        Column(name="article_id", type=ColumnType.UUID, required=True),
        Column(name="user_id", type=ColumnType.UUID, required=True),
        Column(name="body", required=True, max_length=10_000, max_words=500),
        created_at(),
    ),
    primary_key=("id",),
    foreign_keys=(
        ForeignKey(columns=("article_id",), table="articles", references=("id",)),
        ForeignKey(columns=("user_id",), table="users", references=("id",)),
    ),
)
