-- Take one request, `tokens`, a call in flight and `credit` from every subject, or nothing from any.
--
-- KEYS: a window and a gauge for each subject. ARGV: 5 tokens, 6 credit, 7 calls (1, or 0 where one that is
-- running holds more credit and nothing else), and from 8 on four limits for each subject: requests, tokens,
-- concurrency, credit; an empty one is no limit, and no credit is held then.
-- Answers {1, bucket, now}, or {0, subject, kind, limit, used, asked, fits after or -1}. Of several limits
-- that stand in the way it names the one that does so for the longest.

local tokens, credit, calls = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local worst

local function refuse(subject, kind, limit, used, asked, wait)
    if not worst or (worst[7] >= 0 and (wait < 0 or wait > worst[7])) then
        worst = {0, subject, kind, limit, used, asked, wait}
    end
end

local windows, gauges = read_windows(), {}
for i = 1, #KEYS / 2 do
    local base = 7 + (i - 1) * 4
    local window = windows[i]
    local max_requests, max_tokens = tonumber(ARGV[base + 1]), tonumber(ARGV[base + 2])
    local max_in_flight, max_held = tonumber(ARGV[base + 3]), tonumber(ARGV[base + 4])
    local gauge = read_gauges(KEYS[2 * i], true)
    if max_requests and window.requests + calls > max_requests then
        local wait = until_freed(window, 'r', window.requests + calls - max_requests)
        refuse(i, 'requests', max_requests, window.requests, calls, wait)
    end
    if max_tokens and window.tokens + tokens > max_tokens then
        local wait = until_freed(window, 't', window.tokens + tokens - max_tokens)
        refuse(i, 'tokens', max_tokens, window.tokens, tokens, wait)
    end
    if max_in_flight and gauge.in_flight + calls > max_in_flight then
        refuse(i, 'concurrency', max_in_flight, gauge.in_flight, calls, -1)
    end
    if max_held and gauge.held + credit > max_held then
        refuse(i, 'credit', max_held, gauge.held, credit, -1)
    end
    gauge.holds = max_held and credit or 0
    gauges[i] = gauge
end
if worst then
    return worst
end

for i = 1, #windows do
    local gauge = gauges[i]
    write_window(windows[i], calls, tokens)
    write_gauge(KEYS[2 * i], gauge.own_in_flight + calls, gauge.own_held + gauge.holds)
end
return {1, current, now}
