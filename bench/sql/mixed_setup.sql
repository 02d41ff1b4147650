--
-- Documents with a full-text index, and measurements that come as files.
--
\ir words.sql

CREATE TABLE documents
(
	id			int PRIMARY KEY,
	kind		int NOT NULL,
	body		text NOT NULL,
	changed_at	timestamptz NOT NULL
);
CREATE INDEX ON documents (kind, changed_at);
CREATE INDEX ON documents USING gin (to_tsvector('simple', body));

CREATE TABLE measurements
(
	at			timestamptz NOT NULL,
	device		int NOT NULL,
	temperature real,
	humidity	real,
	state		text NOT NULL
);
