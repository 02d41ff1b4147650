--
-- What is published: a table for bulk inserts, and one whose rows begin with
-- every byte that text can have, in a database that takes any byte (SQL_ASCII).
-- On a subscriber the same tables, empty.
--
CREATE TABLE items
(
	id			bigint PRIMARY KEY,
	name		text NOT NULL,
	category	int NOT NULL,
	price		numeric(10, 2) NOT NULL,
	added_at	timestamptz NOT NULL,
	note		text
);

CREATE TABLE first_bytes
(
	content		text,
	part		text NOT NULL,
	byte		int NOT NULL,
	PRIMARY KEY (part, byte)
);
ALTER TABLE first_bytes REPLICA IDENTITY FULL;
