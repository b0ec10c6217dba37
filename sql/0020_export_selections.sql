-- What an export selects is kept with the types of its values, and no longer as texts that have to be parsed again.
-- A value of a filter is a text, a truth value or {"time": "2026-01-31T00:00:00+00:00"}.

ALTER TABLE bulk.export_jobs
    ADD selection jsonb NOT NULL DEFAULT '{"columns": [], "filters": [], "order": []}';     -- no columns: all

ALTER TABLE bulk.export_jobs DISABLE TRIGGER touch;
UPDATE bulk.export_jobs
SET selection = jsonb_build_object(
    'columns', to_jsonb(columns),
    'filters', (
        SELECT coalesce(jsonb_agg(jsonb_build_object(
            'column', part[1],
            'operator', part[2],
            'values', (
                SELECT coalesce(jsonb_agg(
                    CASE
                        WHEN found[1] IS NOT NULL THEN to_jsonb(replace(found[1], '''''', ''''))
                        WHEN found[2] IN ('true', 'false') THEN to_jsonb(found[2]::boolean)
                        ELSE jsonb_build_object('time', found[2])
                    END ORDER BY place
                ), '[]')
                FROM regexp_matches(coalesce(part[3], ''), $$'((?:[^']|'')*)'|([^',()\s]+)$$, 'g')
                    WITH ORDINALITY AS value (found, place)
            )
        ) ORDER BY number), '[]')
        FROM unnest(filters) WITH ORDINALITY AS filter (words, number)
        CROSS JOIN regexp_match(words, $$^(\w+) (is null|is not null|in|prefix|[!<>]?=|[<>])(?: (.*))?$$) AS part
    ),
    'order', (
        SELECT coalesce(jsonb_agg(jsonb_build_object(
            'column', split_part(words, ' ', 1), 'descending', words LIKE '% desc'
        ) ORDER BY number), '[]')
        FROM unnest(sort_order) WITH ORDINALITY AS sorted (words, number)
    )
)
WHERE columns <> '{}' OR filters <> '{}' OR sort_order <> '{}';
ALTER TABLE bulk.export_jobs ENABLE TRIGGER touch;

ALTER TABLE bulk.export_jobs DROP columns, DROP filters, DROP sort_order;
