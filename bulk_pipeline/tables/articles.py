"""Articles by users."""

from typing import TYPE_CHECKING

from bulk_pipeline.schema import Column, ColumnType, ForeignKey, Mode, Rule, Table
from bulk_pipeline.tables.columns import created_at, id_column, updated_at

if TYPE_CHECKING:
    import pandas as pd


def _draft_is_unpublished(rows: "pd.DataFrame") -> "pd.Series":
    is_draft = rows["status"] == "draft"
    return ~is_draft | rows["published_at"].isna()  # pyright: ignore[reportReturnType]  # stubs: a column may be a frame


TABLE = Table(
    name="articles",
    description="Articles, one row per slug, each by a user.",
    columns=(
        id_column(required_in=(Mode.INSERT_ONLY,)),
        Column(
            name="slug",
            required=True,
            pattern=r"[a-z0-9]+(-[a-z0-9]+)*",
            pattern_name="kebab-case (lower-case letters and digits, joined by single hyphens)",
        ),
        Column(name="title", required=True),
        Column(name="body", required=True),
        Column(name="author_id", type=ColumnType.UUID, required=True),
        Column(name="tags", type=ColumnType.TEXT_ARRAY),
        Column(name="published_at", type=ColumnType.TIMESTAMP),
        Column(name="status", required=True, choices=("draft", "published", "archived")),
        created_at(),
        updated_at(),
    ),
    primary_key=("id",),
    unique_keys=(("slug",),),
    foreign_keys=(ForeignKey(columns=("author_id",), table="users", references=("id",)),),
    touch=("updated_at",),
    rules=(
        Rule(
            name="draft_is_unpublished",
            columns=("status", "published_at"),
            passes=_draft_is_unpublished,
            message="a draft has no published_at",
        ),
    ),
)
