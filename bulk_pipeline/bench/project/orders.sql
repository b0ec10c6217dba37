CREATE TYPE order_status AS ENUM ('open', 'paid', 'sent', 'returned');

CREATE TABLE orders (
    shop_id    integer NOT NULL,
    order_no   bigint NOT NULL,
    customer   text NOT NULL,
    status     order_status NOT NULL,
    total      numeric(12, 2) NOT NULL,
    tax        numeric(12, 2),
    quantity   integer NOT NULL,
    ordered_on date NOT NULL,
    paid_at    timestamptz,
    is_gift    boolean NOT NULL,
    meta       jsonb,
    tags       text[],
    voucher    text,
    note       text,
    PRIMARY KEY (shop_id, order_no)
);
