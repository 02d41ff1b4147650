--
-- New indexes: on text, on a uuid, on a number, on words in jsonb.
--
CREATE INDEX ON customers (lower(name), email);
CREATE INDEX ON orders (reference);
CREATE INDEX ON orders (total, id);
CREATE INDEX ON orders USING gin (items jsonb_path_ops);
REINDEX TABLE articles;
