--
-- A small application: customers, their orders and a log of what happened.
--
\ir words.sql

CREATE TABLE customers
(
	id			bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	name		text NOT NULL,
	email		text NOT NULL UNIQUE,
	profile		jsonb NOT NULL,
	balance		numeric(12, 2) NOT NULL DEFAULT 0,
	created_at	timestamptz NOT NULL,
	updated_at	timestamptz
);

CREATE TABLE orders
(
	id			bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	customer_id bigint NOT NULL,
	reference	uuid NOT NULL,
	state		text NOT NULL,
	items		jsonb NOT NULL,
	total		numeric(10, 2) NOT NULL,
	note		text,
	ordered_at	timestamptz NOT NULL
);
CREATE INDEX ON orders (customer_id);
CREATE INDEX ON orders (ordered_at);

CREATE TABLE events
(
	at			timestamptz NOT NULL,
	source		inet NOT NULL,
	kind		smallint NOT NULL,
	duration	double precision NOT NULL,
	message		text NOT NULL
);
CREATE INDEX ON events USING brin (at);
