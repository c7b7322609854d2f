-- A small CRM, made when the volume is empty.
CREATE TABLE customers (
    customer_id bigint PRIMARY KEY,
    tier text NOT NULL DEFAULT 'basic' CHECK (tier IN ('basic', 'silver', 'gold')),
    newsletter boolean NOT NULL DEFAULT false,
    lifetime_value double precision,
    updated_at timestamptz NOT NULL DEFAULT now(),
    is_deleted boolean NOT NULL DEFAULT false
);
CREATE INDEX customers_updated_at ON customers (updated_at, customer_id);

CREATE FUNCTION customers_touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := clock_timestamp();
    RETURN NEW;
END
$$;
CREATE TRIGGER customers_touch BEFORE INSERT OR UPDATE ON customers
    FOR EACH ROW EXECUTE FUNCTION customers_touch();

INSERT INTO customers (customer_id, tier, newsletter, lifetime_value)
SELECT id, (ARRAY ['basic', 'silver', 'gold'])[1 + id % 3], id % 2 = 0, round((id * 7.31)::numeric, 2)
FROM generate_series(1, 1000) AS id;
