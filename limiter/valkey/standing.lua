-- What one subject has in use: {requests, tokens, in flight, held credit, and how long until its requests
-- and its tokens have all expired}. KEYS: its window and its gauge.

local window = read_windows()[1]
local gauge = read_gauges(KEYS[2], false)

local function until_empty(kind)
    local buckets, cells = read_cells(window, kind)
    for i = #buckets, 1, -1 do
        if cells[i] > 0 then
            return left(buckets[i])
        end
    end
    return 0
end

return {window.requests, window.tokens, gauge.in_flight, gauge.held, until_empty('r'), until_empty('t')}
