-- Rows for depot.sql with the values that are lost first.
INSERT INTO depot.sites VALUES (1, '', NULL, '24:00', DEFAULT), (-2, ' Süd ', NULL, '00:00:00.000001', 'A');
INSERT INTO depot.people OVERRIDING SYSTEM VALUE VALUES
    (1, '0190f4a2-7c1e-7d3a-9b5e-2f6c8d1e4a70', 1, 3, '0190f4a2-7c1e-7d3a-9b5e-2f6c8d1e4a72', '0001-01-01', '2026-01-01 12:00:01'),
    (2, '0190f4a2-7c1e-7d3a-9b5e-2f6c8d1e4a71', -2, NULL, NULL, '9999-12-31', '1900-02-28 00:00'),
    (3, '0190f4a2-7c1e-7d3a-9b5e-2f6c8d1e4a72', 1, 3, NULL, NULL, '2024-02-29 23:59:59');
INSERT INTO depot.bins VALUES (1, '', 1, 0.100, 100), (1, 'A', 9223372036854775807, NULL, 0.05), (-2, 'A  b', -1, -999.999, 1);
INSERT INTO depot.items (sku, ean, color, price, weight, volume, added, photo, spec, raw, grade, seen) VALUES
    ('', NULL, '', 0.1000, 1e-7, NULL, '2026-03-29 01:30:00.123Z', '', '"null"', '""', '', NULL),
    ('A1', 4006381333931, 'red', 12345678901234567890.123456789, 0.1, 0.1, '1970-01-01Z', '\x00ff', '"null"', '{"b": 1.50,  "b": 1e400}', 'A', 0),
    ('2', 1, NULL, 1e19, 16777216, 1e300, '2026-10-25 00:30Z', '\x5c', '{"a": [1.0, "\u00e4", null], "b": ""}', '"\u00e4"', 'b', -1);
INSERT INTO depot.stock VALUES (1, '', 1, '', 0), (NULL, NULL, NULL, 'A1', 1), (NULL, NULL, NULL, NULL, 1000000);
INSERT INTO depot.tariffs VALUES (0, ''), (-999.999, NULL), (1.100, 'a');
INSERT INTO depot.holidays VALUES ('2024-02-29', '{t,NULL,f}', '2024-02-29'), ('0001-01-01', NULL, '9999-12-31'), ('2026-12-24', '{}', '2026-12-24');
INSERT INTO depot.readings VALUES
    ('2026-01-01 00:00:00.000001', '08:00:2b:01:02:03', -0.0, '[-1.5,2)'), ('2026-01-01', '08:00:2b:01:02:03', 5e-324, 'empty'),
    ('1582-10-15', '00:00:00:00:00:00', 0.30000000000000004, '(,)');
INSERT INTO depot.hosts VALUES
    ('10.0.0.1/8', '10.0.0.0/8', '08:00:2b:ff:fe:01:02:03', '{[1,3),[5,)}', '["2026-01-01Z",)', '[2026-01-01,2026-02-01)', '(1.50,2]', '{::1/64,NULL}'),
    ('10.0.0.1', '::/0', NULL, '{}', 'empty', '(,)', NULL, NULL);
INSERT INTO depot.queue VALUES (1, 9, 2, NULL, NULL), (2, 8, 3, NULL, ''), (3, NULL, NULL, 1, NULL);
INSERT INTO depot.notes VALUES
    (NULL, NULL, NULL, NULL, NULL), ('', '', '', '', ''), (' ', 'a', 'a ', 'x', 'n'), (E'\t\r\n"\\N\\.', '"', E'\n', '"', ','), ('NULL', 'é', '🙂', '\', E'\u00a0'),
    ('=1+1', '007', '1e5', '0', '#'), (U&'\FEFF\200B', '[]', '{}', 't', '--'), ('(2 rows)', 'N/A', '\.', '-', 'x');
INSERT INTO depot.flags VALUES (true), (NULL), (false), (NULL);
INSERT INTO depot.shapes VALUES
    (7, '(1,-2.5)', '{1,2,3}', '[(0,0),(1,1)]', '(2,2),(0,0)', '[(0,0),(1,1)]', '((0,0),(1,1),(1,0))', '<(0,0),1>', B'0101', B'', '-1234.50', '16/B374D848', '''a'' & !''b c''', '$."a"[*] ? (@ > 1)', 4294967295, NULL),
    (9, NULL, NULL, NULL, NULL, '((0,0),(1,1))', NULL, NULL, NULL, B'101', NULL, NULL, '', NULL, NULL, NULL);
INSERT INTO depot.times VALUES
    (1, '3 days 04:05:06.789', '00:00:01', '-1 year 2 days -03:00:00.000001', '12:00:00.123', '23:59:59.999999+14:30', '0001-01-01', '0001-01-01 00:00', '9999-12-31 23:59:59.999999Z',
        '-1 year 2 mons', '3 years', '1 year 2 days 25:01', '{1 mon 00:00:00.123,NULL}'),
    (3, '00:00', NULL, '178000000 years', '24:00', '00:00-12', '9999-12-31', NULL, '0001-01-01Z', '0', '178000000', '-1 day', '{}'),
    (4, NULL, NULL, '25 hours', NULL, '24:00+00', NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO depot.arrays VALUES
    (1, '{{a,NULL},{"","b c"}}', '{"a,b",NULL,""}', '{{{1,2}},{{3,NULL}}}', '{{1.50,-2},{NULL,0}}', '{2026-01-01Z,NULL}', '{"\\x00",NULL,"\\x"}', '{"{\"a\": 1}",NULL,"[]"}', '{"",A,NULL}', '{"(a,\"(1,2)\",\"{A,\"\"\"\"}\")",NULL}', '{"",x}', '{1.00,NULL}', '{"[1,3)",empty}', '{a,"b  ",NULL}'),
    (2, '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}'),
    (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (4, '{{NULL}}', '{NULL}', '{{{NULL}}}', '{{NULL}}', '{NULL}', '{NULL}', '{NULL}', '{NULL}', '{NULL}', '{NULL}', '{NULL}', '{NULL}', '{NULL}');
INSERT INTO depot.own VALUES
    (NULL, NULL, NULL, NULL, NULL, NULL), ('(,,)', '(a,,)', '[1,2]', '(1,x,,,)', 0.10, ''), (E'("a\n"" ,","(1,2)","{A,""""}")', '("",,)', '(,)', '(,,,,)', NULL, ' ');
INSERT INTO depot.moves VALUES (1, 'in', '2025-12-31', NULL), (2, 'in', '2026-01-01', ''), (1, 'out', '2026-01-01', 'x'), (3, '', '0001-01-01', 'y');
INSERT INTO depot.spread VALUES (1, 'A1'), (2, NULL), (3, 'A1'), (4, '');
INSERT INTO depot.spread_notes VALUES (1, ''), (1, ''), (NULL, ' ');
INSERT INTO depot.stamped VALUES (1, '', NULL, NULL), (2, '', 'two words', '2026-01-01Z');
INSERT INTO "Back Office"."Größe & Gewicht" VALUES (1, 'x', 0.5, '"', '2026-01-01', '%', ','), (2, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO depot.wide (id, c1, c2, c3, c6, c300) VALUES (1, 7, 0.500, '2026-01-01', 'a', ''), (2, NULL, NULL, NULL, NULL, NULL);
