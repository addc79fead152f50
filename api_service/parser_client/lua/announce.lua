#!lua flags=allow-oom
-- Announces results that are stored but on no list.
-- allow-oom: these results occupy memory until they are announced, persisted and deleted.
--
-- KEYS: 1 the reply list
--       2 the size of the results that wait to be persisted
-- ARGV: 1 bytes of these results
--       2… the announcements
for i = 2, #ARGV do redis.call('RPUSH', KEYS[1], ARGV[i]) end
-- What somebody else put there is no size: the results are announced all the same.
redis.pcall('INCRBY', KEYS[2], ARGV[1])
