-- The table of tables/products.yaml: bulk-pipeline psql -f products.sql
CREATE TABLE IF NOT EXISTS products (
    id        uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    sku       varchar(20) NOT NULL UNIQUE,
    title     text NOT NULL,
    state     text NOT NULL,
    listed_at timestamptz
);
