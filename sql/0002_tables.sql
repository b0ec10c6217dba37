-- The tables people import into. Declared in bulk_pipeline/tables; a test compares the two.
CREATE TABLE customers (
    id         uuid PRIMARY KEY DEFAULT bulk.uuid_v7(),
    email      varchar(320) NOT NULL UNIQUE,
    first_name varchar(150),
    last_name  varchar(150),
    phone      varchar(64),
    city       varchar(128),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE users (
    id         uuid PRIMARY KEY DEFAULT bulk.uuid_v7(),
    email      varchar(320) NOT NULL UNIQUE,
    name       text NOT NULL,
    role       text NOT NULL,
    active     boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE articles (
    id           uuid PRIMARY KEY DEFAULT bulk.uuid_v7(),
    slug         text NOT NULL UNIQUE,
    title        text NOT NULL,
    body         text NOT NULL,
    author_id    uuid NOT NULL REFERENCES users (id),
    tags         text[],
    published_at timestamptz,
    status       text NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX articles_author_id ON articles (author_id);

CREATE TABLE comments (
    id         uuid PRIMARY KEY,
    article_id uuid NOT NULL REFERENCES articles (id),
    user_id    uuid NOT NULL REFERENCES users (id),
    body       varchar(10000) NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX comments_article_id ON comments (article_id);
CREATE INDEX comments_user_id ON comments (user_id);
