--
-- Tables that are loaded with COPY alone: no index, no default.
--
-- :seed	fraction between -1 and 1 for setseed()
--
\ir words.sql

CREATE TABLE sales
(
	id			bigint NOT NULL,
	customer_id int NOT NULL,
	product		text NOT NULL,
	quantity	smallint NOT NULL,
	price		numeric(10, 2) NOT NULL,
	sold_at		timestamp NOT NULL,
	comment		text
);

CREATE TABLE measurements
(
	at			timestamptz NOT NULL,
	device		int NOT NULL,
	temperature real,
	humidity	double precision,
	state		text NOT NULL
);

CREATE TABLE requests
(
	id			uuid NOT NULL,
	source		inet NOT NULL,
	path		text NOT NULL,
	status		smallint NOT NULL,
	took_ms		int NOT NULL,
	headers		jsonb NOT NULL
);
