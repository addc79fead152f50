#!lua flags=allow-oom
-- Reserve the moment at which a request to a host begins, an interval after the one before.
-- Whoever has a slot asks: a page, its robots.txt, each of its redirects.
-- KEYS: none; host_keys.lua builds the names.
-- ARGV: 1 prefix, 2 host, 4-8 see host_slots.lua, 9 the longest wait (ms) that is reserved.
-- Returns the ms to wait before the request, or -1 with nothing reserved if they were more.
-- allow-oom: it takes little memory, and a full Redis must not make parsers impolite.
-- @include clock
-- @include host_keys
local begin, interval, longest = key(ARGV[2], 'begin'), tonumber(ARGV[5]), tonumber(ARGV[9])
local start = math.max(now, tonumber(redis.call('GET', begin)) or 0)
-- No call reserves more than this: the clock was set back. Written so that "nan" is more, too.
if not (start <= now + longest + interval) then start = now end
if start - now > longest then return -1 end
redis.call('SET', begin, start + interval, 'PX', start - now + interval)
return start - now
