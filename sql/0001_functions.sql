-- Time-ordered ids for servers older than Postgres 18, which has uuidv7() itself (RFC 9562, section 5.7).
-- Random ids scatter the primary key's pages: loading takes twice as long with them.
CREATE SCHEMA IF NOT EXISTS bulk;

CREATE FUNCTION bulk.uuid_v7() RETURNS uuid
LANGUAGE sql VOLATILE PARALLEL SAFE
AS $$
    SELECT encode(
        set_bit(
            set_bit(
                overlay(
                    uuid_send(gen_random_uuid())
                    PLACING substring(int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3)
                    FROM 1 FOR 6
                ),
                52, 1
            ),
            53, 1
        ),
        'hex'
    )::uuid
$$;
COMMENT ON FUNCTION bulk.uuid_v7() IS 'A UUID version 7: 48 bits of milliseconds, then random bits.';
