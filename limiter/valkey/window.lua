-- The window of one subject, and the gauges beside it. This part stands in front of every script.
--
-- A window is a hash: `last`, the newest bucket that was written; `requests` and `tokens`, the exact sums
-- of what still counted then; and for each bucket that is not empty a cell `r<n>` and `t<n>`, where n is
-- the bucket's place in a ring of 61. A bucket counts until 61 of its lengths after its begin, so 61 can
-- count at once, and a new bucket takes the place of the one that has just expired. So a reservation reads
-- and writes a handful of fields, however much the window holds.
--
-- Gauges are a hash from gateway instance to `in_flight:held:stamp`. An entry whose stamp is too old belongs
-- to a gateway that is gone, and does not count.
--
-- Times are microseconds. ARGV[1] is empty, or a clock for tests; ARGV[2] the length of a bucket;
-- ARGV[3] how long a gauge lives without a new stamp; ARGV[4] the instance that asks.

local RING = 61

local now = tonumber(ARGV[1])
if not now then
    local time = redis.call('TIME')
    now = time[1] * 1000000 + time[2]
end
local length = tonumber(ARGV[2])
local lifetime = tonumber(ARGV[3])
local instance = ARGV[4]
local current = math.floor(now / length)

local function number(value)
    return tonumber(value) or 0
end

-- A window from a clock that was far ahead: all of it counts as used now, which frees it in one window's time.
local function redate(key, requests, tokens)
    local place = current % RING
    redis.call('DEL', key)
    redis.call('HSET', key, 'last', current, 'requests', requests, 'tokens', tokens,
        'r' .. place, requests, 't' .. place, tokens)
    redis.call('PEXPIRE', key, math.ceil((RING + 1) * length / 1000))
end

-- The window as of bucket `current`. What has expired is taken off the sums here; `forget` lists its cells
-- for whoever writes.
local function read_window(key)
    local place = current % RING
    local head = redis.call('HMGET', key, 'last', 'requests', 'tokens', 'r' .. place, 't' .. place)
    local last = tonumber(head[1])
    local window = {key = key, last = last or current, requests = 0, tokens = 0, r = 0, t = 0}
    if not last then
        return window
    end
    if current - last >= RING then
        window.expired = true
        return window
    end
    window.requests, window.tokens = number(head[2]), number(head[3])
    if last - current >= RING then
        redate(key, window.requests, window.tokens)
        window.last, window.r, window.t = current, window.requests, window.tokens
        return window
    end
    if last >= current then
        current = last
        window.r, window.t = number(head[4]), number(head[5])
        return window
    end
    local fields = {}
    for bucket = last + 1, current do
        fields[#fields + 1] = 'r' .. bucket % RING
        fields[#fields + 1] = 't' .. bucket % RING
    end
    local cells = redis.call('HMGET', key, unpack(fields))
    local forget = {}
    for i = 1, #fields, 2 do
        if cells[i] then
            window.requests = window.requests - number(cells[i])
            window.tokens = window.tokens - number(cells[i + 1])
            forget[#forget + 1] = fields[i]
            forget[#forget + 1] = fields[i + 1]
        end
    end
    window.forget = forget
    return window
end

-- The windows of all subjects as of one moment. A server's clock may step back, or a replica with a slower
-- one take over. Buckets do not: for these windows time stands still until the clock has caught up, so
-- what was counted stays counted for its whole time. Then `current` moved, and the reading starts over.
local function read_windows()
    local windows, began
    repeat
        windows, began = {}, current
        for i = 1, #KEYS, 2 do
            windows[#windows + 1] = read_window(KEYS[i])
        end
    until current == began
    return windows
end

-- Add to the current bucket and store the window.
local function write_window(window, requests, tokens)
    if window.expired then
        redis.call('DEL', window.key)
    elseif window.forget and #window.forget > 0 then
        redis.call('HDEL', window.key, unpack(window.forget))
    end
    local place = current % RING
    redis.call('HSET', window.key, 'last', current,
        'requests', window.requests + requests, 'tokens', window.tokens + tokens,
        'r' .. place, window.r + requests, 't' .. place, window.t + tokens)
    redis.call('PEXPIRE', window.key, math.ceil((RING + 1) * length / 1000))
end

-- The cells of one kind ('r' or 't') that still count, oldest first: their buckets and their values. One
-- HGETALL: a full window is stored as a list, in which asking for each field by its name would be a search.
local function read_cells(window, kind)
    if window.expired then
        return {}, {}
    end
    local entries = redis.call('HGETALL', window.key)
    local fields, buckets, values = {}, {}, {}
    for i = 1, #entries, 2 do
        fields[entries[i]] = entries[i + 1]
    end
    for bucket = current - RING + 1, window.last do
        buckets[#buckets + 1] = bucket
        values[#values + 1] = number(fields[kind .. bucket % RING])
    end
    return buckets, values
end

-- Microseconds until a bucket no longer counts.
local function left(bucket)
    return (bucket + RING) * length - now
end

-- Microseconds until `excess` has expired by itself, or -1 if that never frees enough.
local function until_freed(window, kind, excess)
    local buckets, cells = read_cells(window, kind)
    local freed = 0
    for i = 1, #buckets do
        freed = freed + cells[i]
        if freed >= excess then
            return left(buckets[i])
        end
    end
    return -1
end

local function read_gauge(entry)
    local in_flight, held, stamp = string.match(entry, '^(%d+):(%d+):(%d+)$')
    return tonumber(in_flight), tonumber(held), tonumber(stamp)
end

-- What all living instances have together. Dead entries are removed when `clean` is set.
local function read_gauges(key, clean)
    local entries = redis.call('HGETALL', key)
    local sum = {in_flight = 0, held = 0, own_in_flight = 0, own_held = 0}
    for i = 1, #entries, 2 do
        local in_flight, held, stamp = read_gauge(entries[i + 1])
        if entries[i] == instance then
            sum.own_in_flight, sum.own_held = in_flight, held
        elseif math.abs(now - stamp) > lifetime then
            in_flight, held = 0, 0
            if clean then
                redis.call('HDEL', key, entries[i])
            end
        end
        sum.in_flight, sum.held = sum.in_flight + in_flight, sum.held + held
    end
    return sum
end

local function write_gauge(key, in_flight, held)
    if in_flight == 0 and held == 0 then
        redis.call('HDEL', key, instance)
        return
    end
    redis.call('HSET', key, instance, string.format('%.0f:%.0f:%.0f', in_flight, held, now))
    redis.call('PEXPIRE', key, math.ceil(lifetime / 1000))
end
