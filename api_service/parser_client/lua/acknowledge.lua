#!lua flags=allow-oom
-- Deletes the first announcements that a taker has taken, and the results it has persisted.
-- In one script, so that parsers never count the bytes of results that are gone.
-- allow-oom: it frees memory.
--
-- KEYS: 1 the list of what this taker has taken
--       2 the size of the results that wait to be persisted
--       3… the results to delete
-- ARGV: 1 how many announcements to delete
--       2 bytes of their results
for i = 3, #KEYS do redis.call('UNLINK', KEYS[i]) end
redis.call('LTRIM', KEYS[1], ARGV[1], -1)
-- A taker that was taken for dead may subtract a second time: the size never goes below 0.
-- What somebody else put there is no size.
local left = redis.pcall('DECRBY', KEYS[2], ARGV[2])
if type(left) == 'table' or left <= 0 then redis.call('DEL', KEYS[2]) end
