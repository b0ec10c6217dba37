-- Failed logins are counted by client too, so that strangers who guess a password do not keep its owner out.
ALTER TABLE bulk.login_failures ADD client text NOT NULL DEFAULT '';    -- an IPv4 address, or a /64 of IPv6
DROP INDEX bulk.login_failures_recent;
CREATE INDEX login_failures_of_account ON bulk.login_failures (email, client, failed_at);
CREATE INDEX login_failures_of_client ON bulk.login_failures (client, failed_at);
