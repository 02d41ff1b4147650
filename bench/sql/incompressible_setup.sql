--
-- Values that nothing can make smaller, as pictures and encrypted files are.
--
CREATE TABLE pictures (id int PRIMARY KEY, content bytea NOT NULL);
ALTER TABLE pictures ALTER content SET STORAGE EXTERNAL;
