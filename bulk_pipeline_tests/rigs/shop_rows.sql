-- Rows for shop.sql with the values that are lost first: NULL beside '', quotes, line ends, exact numbers, references backwards.
INSERT INTO shop.customers VALUES
    (1, 'ann@example.com', 'Ann', 'happy', '{sad,NULL}', '("High St, ""A""",3)', NULL),
    (2, 'bo@example.com', '', DEFAULT, NULL, NULL, 3),
    (3, 'cy@example.com', E'C\ny', 'sad', '{}', '(,)', 1);
INSERT INTO shop.orders OVERRIDING SYSTEM VALUE VALUES
    (10, 'A-1', 1, 12.30, DEFAULT, 'paid', '2024-02-29', '', '{"a,b",NULL,""}', '{"n": 1.50, "s": "x"}', '2026-01-01Z'),
    (9223372036854775807, 'A-2', 3, NULL, DEFAULT, DEFAULT, NULL, NULL, NULL, '[1, null]', '2026-05-01 12:30:00.000001Z');
INSERT INTO shop.order_lines VALUES (10, 1, 'lamp', 1.5), (10, -2, DEFAULT, 'NaN'::real);
INSERT INTO shop.shipments VALUES (10, 1, 'post', NULL), (10, -2, 'post', '1'), (NULL, 1, NULL, NULL);
INSERT INTO shop.legacy VALUES (5, 'Old', '2020-01-01 00:00', 1), (6, NULL, NULL, NULL);
INSERT INTO shop.bookings VALUES (1, '[2026-01-01 10:00,2026-01-01 11:00)'), (2, NULL), (NULL, NULL);
INSERT INTO shop.words VALUES (NULL), ('a'), (''), (NULL);
INSERT INTO shop.events VALUES ('2026-03-01Z', 'opened'), ('2026-03-01Z', NULL);
INSERT INTO shop."Odd ""Name" VALUES (1, 'x'), (2, NULL);
INSERT INTO shop.guarded VALUES ('0190f4a2-7c1e-7d3a-9b5e-2f6c8d1e4a70', 'me');
INSERT INTO shop.watched VALUES ('0190f4a2-7c1e-7d3a-9b5e-2f6c8d1e4a70', 'loud');
