"""The migrated tables match their declarations, and every kind of difference is found."""

import psycopg
import pytest

from bulk_pipeline import tables
from bulk_pipeline.postgres.catalogue import all_tables, loader
from bulk_pipeline.postgres.drift import drift


def test_the_migrated_tables_are_the_declared_ones(each_database_url: str) -> None:
    with psycopg.connect(each_database_url) as connection:
        assert drift(connection, tables.in_load_order()) == []
        stored = all_tables(connection, loader(connection), schema="public")
        assert {table.name for table in stored} == set(tables.names())


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("DROP TABLE comments", "table comments is missing"),
        ("ALTER TABLE users DROP name", "users.name is missing"),
        ("ALTER TABLE users ADD age integer", "users.age is not declared"),
        (
            "ALTER TABLE users ALTER role TYPE varchar(9)",
            "users.role is character varying(9), declared as text",
        ),
        (
            "ALTER TABLE users ALTER email TYPE varchar(99)",
            "users.email is character varying(99), declared as character varying(320)",
        ),
        (
            "ALTER TABLE articles ALTER tags TYPE jsonb USING to_jsonb(tags)",
            "articles.tags is jsonb, declared as text[]",
        ),
        ("ALTER TABLE users ALTER name DROP NOT NULL", "users.name is nullable, declared as NOT NULL"),
        ("ALTER TABLE customers ALTER city SET NOT NULL", "customers.city is NOT NULL, declared as nullable"),
        ("ALTER TABLE users ALTER id DROP DEFAULT", "users.id has no default"),
        ("ALTER TABLE users ALTER name SET DEFAULT 'x'", "users.name has a default that is not declared"),
        (
            "ALTER TABLE comments DROP CONSTRAINT comments_pkey",
            "comments has primary key (), declared as (id)",
        ),
        ("ALTER TABLE users DROP CONSTRAINT users_email_key", "users has no unique key (email)"),
        ("CREATE UNIQUE INDEX ON users (name)", "users has a unique key (name), not declared"),
        ("CREATE UNIQUE INDEX ON users (name, role)", "users has a unique key (name, role), not declared"),
        (
            "ALTER TABLE comments DROP CONSTRAINT comments_user_id_fkey",
            "comments.user_id does not refer to users (id)",
        ),
        (
            "ALTER TABLE users ADD FOREIGN KEY (id) REFERENCES customers",
            "users.id refers to customers (id), not declared",
        ),
    ],
)
def test_every_kind_of_drift_is_found(database_url: str, change: str, sentence: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute(change.encode())
        assert drift(connection, tables.in_load_order()) == [sentence]


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE customers ALTER city SET DEFAULT 'x'",
        "ALTER TABLE users ALTER email TYPE text",
        "CREATE UNIQUE INDEX ON users (lower(name))",
        "CREATE UNIQUE INDEX ON users (name) WHERE active",
    ],
)
def test_differences_that_no_load_meets_are_no_drift(database_url: str, change: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute(change.encode())
        assert drift(connection, tables.in_load_order()) == []


def test_tables_of_other_people_are_none_of_our_business(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("CREATE TABLE runs (id integer)")
        assert drift(connection, tables.in_load_order()) == []
