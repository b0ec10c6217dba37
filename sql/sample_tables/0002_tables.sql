-- The tables people import into. Declared in bulk_pipeline/tables; a test compares the two.
-- In `public` by name: for a user called bulk, unqualified names would go to the ledger's schema.
CREATE TABLE public.customers (
    id         uuid PRIMARY KEY DEFAULT bulk.uuid_v7(),
    email      varchar(320) NOT NULL UNIQUE,
    first_name varchar(150),
    last_name  varchar(150),
    phone      varchar(64),
    city       varchar(128),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE public.users (
    id         uuid PRIMARY KEY DEFAULT bulk.uuid_v7(),
    email      varchar(320) NOT NULL UNIQUE,
    name       text NOT NULL,
    role       text NOT NULL,
    active     boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE public.articles (
    id           uuid PRIMARY KEY DEFAULT bulk.uuid_v7(),
    slug         text NOT NULL UNIQUE,
    title        text NOT NULL,
    body         text NOT NULL,
    author_id    uuid NOT NULL REFERENCES public.users (id),
    tags         text[],
    published_at timestamptz,
    status       text NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX articles_author_id ON public.articles (author_id);

CREATE TABLE public.comments (
    id         uuid PRIMARY KEY,
    article_id uuid NOT NULL REFERENCES public.articles (id),
    user_id    uuid NOT NULL REFERENCES public.users (id),
    body       varchar(10000) NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX comments_article_id ON public.comments (article_id);
CREATE INDEX comments_user_id ON public.comments (user_id);
