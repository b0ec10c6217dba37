-- A second database as people have them, in schemas of its own: what shop.sql lacks of types, keys, names and constraints. Not ours.
CREATE SCHEMA depot;
CREATE SCHEMA "Back Office";
CREATE TYPE depot.grade AS ENUM ('', 'b', 'A');
CREATE TYPE depot.spot AS (label text, at point, grades depot.grade[]);
CREATE TYPE depot.heat AS RANGE (subtype = real);
CREATE DOMAIN depot.percent AS numeric(5, 2) CHECK (VALUE BETWEEN 0 AND 100);
CREATE DOMAIN depot.short AS text CHECK (length(VALUE) < 12);
CREATE DOMAIN depot.rates AS numeric(5, 2)[] CHECK (array_length(VALUE, 1) < 5);
CREATE DOMAIN depot.located AS depot.spot CHECK ((VALUE).label <> 'none');

-- Two tables that refer to each other; people to people, also to those of a later line.
CREATE TABLE depot.people (
    id     integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    badge  uuid NOT NULL UNIQUE,
    site   smallint NOT NULL,
    boss   integer REFERENCES depot.people DEFERRABLE INITIALLY DEFERRED,
    deputy uuid REFERENCES depot.people (badge),
    born   date,
    since  timestamp(0) NOT NULL
);
CREATE TABLE depot.sites (
    code   smallint PRIMARY KEY,
    name   varchar(40) NOT NULL,
    chief  integer REFERENCES depot.people,
    opened time,
    zone   char(3) DEFAULT 'UTC' NOT NULL
);
ALTER TABLE depot.people ADD FOREIGN KEY (site) REFERENCES depot.sites;

-- Keys: composite, numeric, of texts, of times, of addresses, several, deferrable, with equal NULLs, none.
CREATE TABLE depot.bins (
    site  smallint REFERENCES depot.sites,
    aisle character(4),
    slot  bigint,
    size  numeric(6, 3),
    load  depot.percent DEFAULT 0 NOT NULL,
    PRIMARY KEY (site, aisle, slot)
);
CREATE TABLE depot.items (
    sku     text PRIMARY KEY CHECK (sku ~ '^[A-Z]*[0-9]*$'),
    ean     numeric(13) UNIQUE,
    color   varchar(10) CHECK (color IN ('red', 'blue', '')),
    price   numeric NOT NULL CHECK (price >= 0 AND price < 1e20),
    weight  real,
    volume  double precision DEFAULT 1.5,
    added   timestamptz(3) DEFAULT now() NOT NULL,
    photo   bytea NOT NULL,
    spec    jsonb NOT NULL,
    raw     json,
    grade   depot.grade NOT NULL,
    words   tsvector GENERATED ALWAYS AS (to_tsvector('simple', sku)) STORED,
    seen    integer DEFAULT 0,
    UNIQUE (color, price, weight),
    CHECK (weight IS NULL OR volume IS NULL OR weight < volume * 1000),
    CHECK (octet_length(photo) < 100) NOT VALID
);
CREATE TABLE depot.stock (
    site     smallint,
    aisle    char(4),
    slot     bigint,
    sku      text REFERENCES depot.items ON UPDATE CASCADE,
    quantity integer NOT NULL CHECK (quantity BETWEEN 0 AND 1000000),
    UNIQUE (sku, site, aisle, slot),
    FOREIGN KEY (slot, aisle, site) REFERENCES depot.bins (slot, aisle, site) MATCH FULL
);
ALTER TABLE depot.bins ADD UNIQUE (slot, aisle, site);
CREATE TABLE depot.tariffs (rate numeric(6, 3) PRIMARY KEY, name depot.short);
CREATE TABLE depot.holidays (day date PRIMARY KEY, halves boolean[], until date NOT NULL);
CREATE TABLE depot.readings (
    at     timestamp,
    sensor macaddr,
    value  double precision,
    heat   depot.heat,
    PRIMARY KEY (at, sensor)
);
CREATE TABLE depot.hosts (
    address inet PRIMARY KEY,
    net     cidr UNIQUE,
    mac     macaddr8,
    ports   int4multirange,
    leased  tstzrange,
    days    daterange,
    prices  numrange,
    others  inet[]
);
CREATE TABLE depot.queue (
    id    integer PRIMARY KEY,
    place integer UNIQUE DEFERRABLE INITIALLY DEFERRED,
    next  integer REFERENCES depot.queue DEFERRABLE,
    a     integer,
    b     text,
    UNIQUE NULLS NOT DISTINCT (a, b)
);
CREATE TABLE depot.notes (text text, code character(3), pad bpchar, kind "char", name name);
CREATE TABLE depot.flags (flag boolean);

-- Types that travel as text, and those with odd values.
CREATE TABLE depot.shapes (
    id bigserial PRIMARY KEY,
    p point, l line, s lseg, b box, o path, g polygon, c circle,
    bits bit(4), more bit varying(9), paid money, lsn pg_lsn, query tsquery, way jsonpath, of oid, doc xml
);
CREATE TABLE depot.times (
    id smallserial PRIMARY KEY,
    clock interval(3),
    round interval(0),
    any_length interval,
    t3 time(3), z timetz, day date, at timestamp, instant timestamptz,
    terms interval year to month,
    years interval year,
    turn interval hour to minute,
    shifts interval day to second(3)[]
);
CREATE TABLE depot.arrays (
    id        integer PRIMARY KEY,
    texts     text[][],
    words     text[],
    numbers   integer[][][],
    grid      numeric(6, 2)[][],
    moments   timestamptz[],
    bytes     bytea[],
    documents jsonb[],
    grades    depot.grade[],
    spots     depot.spot[],
    shorts    depot.short[],
    rates     depot.rates,
    ranges    int4range[],
    codes     character(3)[]
);
CREATE TABLE depot.own (spot depot.spot, home depot.located, heat depot.heat, rows depot.sites, rate depot.percent, name depot.short);

-- Partitions by list, by hash and by range, of which one is split further; a reference to a partitioned table.
CREATE TABLE depot.moves (id bigint GENERATED BY DEFAULT AS IDENTITY, kind text, at date, note text, PRIMARY KEY (id, kind, at))
    PARTITION BY LIST (kind);
CREATE TABLE depot.moves_in PARTITION OF depot.moves FOR VALUES IN ('in') PARTITION BY RANGE (at);
CREATE TABLE depot.moves_in_old PARTITION OF depot.moves_in FOR VALUES FROM (MINVALUE) TO ('2026-01-01');
CREATE TABLE depot.moves_in_new PARTITION OF depot.moves_in DEFAULT;
CREATE TABLE depot.moves_others PARTITION OF depot.moves DEFAULT;
CREATE TABLE depot.spread (id integer PRIMARY KEY, sku text) PARTITION BY HASH (id);
CREATE TABLE depot.spread_0 PARTITION OF depot.spread FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE depot.spread_1 PARTITION OF depot.spread FOR VALUES WITH (MODULUS 2, REMAINDER 1);
ALTER TABLE depot.spread_0 ADD FOREIGN KEY (sku) REFERENCES depot.items;
CREATE TABLE depot.spread_notes (id integer REFERENCES depot.spread, note text NOT NULL);

-- Triggers, names, and many columns.
CREATE TABLE depot.stamped (id integer PRIMARY KEY, words tsvector NOT NULL, body text, changed timestamptz);
CREATE TRIGGER stamp BEFORE INSERT OR UPDATE ON depot.stamped
    FOR EACH ROW EXECUTE FUNCTION tsvector_update_trigger('words', 'pg_catalog.simple', 'body');
CREATE TABLE "Back Office"."Größe & Gewicht" ("select" integer PRIMARY KEY, "a b" text, "Ärmel.länge" numeric(4, 1), "x""y" text, "'" date, "%s" text, "end," text);
CREATE TABLE depot.wide (id integer PRIMARY KEY);
DO $$
BEGIN
    FOR n IN 1..300 LOOP
        EXECUTE format('ALTER TABLE depot.wide ADD c%s %s', n, (ARRAY['text', 'integer', 'numeric(9, 3)', 'date', 'boolean', 'inet'])[1 + n % 6]);
    END LOOP;
END $$;
