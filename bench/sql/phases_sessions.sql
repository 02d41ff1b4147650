--
-- One transaction of pgbench: a key-value store.
--
\set user_id random_zipfian(1, 5000, 1.1)
\set page random(1, 10000)
INSERT INTO sessions
VALUES (md5(:user_id::text)::uuid, :user_id,
		jsonb_build_object('page', :page, 'cart', jsonb_build_array(:page % 97, :page % 89)),
		now() + interval '1 hour')
ON CONFLICT (token) DO UPDATE SET content = excluded.content, expires_at = excluded.expires_at;
