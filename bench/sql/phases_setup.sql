--
-- An application whose activities are measured one by one.
--
-- :seed	fraction between -1 and 1 for setseed()
--
\ir varied_setup.sql

CREATE TABLE articles
(
	id			bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	author_id	int NOT NULL,
	title		text NOT NULL,
	body		text NOT NULL,
	published	date
);
CREATE INDEX ON articles USING gin (to_tsvector('simple', title));
CREATE INDEX ON articles (author_id, published);

CREATE TABLE sessions
(
	token		uuid PRIMARY KEY,
	user_id		int NOT NULL,
	content		jsonb NOT NULL,
	expires_at	timestamptz NOT NULL
);
CREATE INDEX ON sessions (expires_at);
