"""The tables of the sample data, which a project does not serve by itself."""

from bulk_pipeline.tables import articles, comments, customers, users

TABLES = (customers.TABLE, users.TABLE, articles.TABLE, comments.TABLE)
