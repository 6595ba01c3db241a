-- Put right what a reservation took: the windows by a difference, this instance's gauges by their value now.
--
-- KEYS: a window and a gauge for each subject. ARGV: 5 the bucket that the reservation was written to,
-- 6 requests to give back, 7 tokens: below zero they go back to that bucket, above zero they are counted
-- now; from 8 on this instance's calls in flight and held credit for each subject.
-- A bucket that has expired, or that a restarted server has forgotten, takes nothing back.

local bucket, requests, tokens = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])

-- Sums and cell are corrected as they stand in the store: what has expired since leaves both together.
local function give_back(key)
    local place = bucket % RING
    local row = redis.call('HMGET', key, 'last', 'requests', 'tokens', 'r' .. place, 't' .. place)
    local last = tonumber(row[1])
    if not last or bucket > last or bucket <= math.max(last, current) - RING then
        return
    end
    local r, t = number(row[4]), number(row[5])
    local r_back, t_back = math.min(r, requests), math.min(t, 0 - tokens)
    redis.call('HSET', key, 'requests', number(row[2]) - r_back, 'tokens', number(row[3]) - t_back,
        'r' .. place, r - r_back, 't' .. place, t - t_back)
end

local windows = tokens > 0 and read_windows()
for i = 1, #KEYS / 2 do
    if windows then
        write_window(windows[i], 0, tokens)
    elseif requests > 0 or tokens < 0 then
        give_back(KEYS[2 * i - 1])
    end
    write_gauge(KEYS[2 * i], tonumber(ARGV[6 + 2 * i]), tonumber(ARGV[7 + 2 * i]))
end
return 1
