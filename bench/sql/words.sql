--
-- Words and sentences from a seed, for workloads that need text.
--
-- :seed	fraction between -1 and 1 for setseed()
--
-- Words are made of syllables, and short and frequent ones come more often,
-- as in a language: text of constant or of uniformly random letters would
-- compress far better or far worse than what people store.
--
SELECT setseed(:seed) \g /dev/null

CREATE TABLE bench_words (id int PRIMARY KEY, word text NOT NULL);

INSERT INTO bench_words
SELECT n, string_agg(onset[1 + floor(random() * 20)::int] ||
					 nucleus[1 + floor(random() * 10)::int] ||
					 coda[1 + floor(random() * 12)::int], '')
FROM generate_series(1, 8000) n,
	 generate_series(1, 1 + (ln(n) / 4)::int) syllable,
	 (SELECT '{b,c,d,f,g,h,k,l,m,n,p,r,s,t,v,w,st,tr,pl,sh}'::text[] AS onset,
			 '{a,e,i,o,u,ea,ou,ai,io,ee}'::text[] AS nucleus,
			 '{"",n,r,s,t,l,nd,st,ng,m,"",""}'::text[] AS coda) AS letters
GROUP BY n;

-- So many words, in one call.  The vocabulary is jsonb because its elements are
-- found at once; an array of text is searched from its start.
CREATE FUNCTION bench_text(words int, vocabulary jsonb) RETURNS text
LANGUAGE sql VOLATILE
RETURN (SELECT string_agg(vocabulary ->> floor(8000 * power(random(), 3))::int,
						  CASE WHEN random() < 0.1 THEN ', ' ELSE ' ' END)
		FROM generate_series(1, words));

CREATE FUNCTION bench_vocabulary() RETURNS jsonb
LANGUAGE sql STABLE
RETURN (SELECT jsonb_agg(word ORDER BY id) FROM bench_words);
