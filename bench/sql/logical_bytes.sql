--
-- Rows that begin with every byte, with an escape (a null and what COPY writes
-- with a backslash) and with the column separator (an empty string).
--
-- :part	which rows these are
--
INSERT INTO first_bytes
SELECT convert_from(set_byte('\x00', 0, byte) || 'ebra', 'SQL_ASCII'), :'part', byte
FROM generate_series(1, 255) byte;
INSERT INTO first_bytes VALUES (NULL, :'part', 0), ('', :'part', 256);
