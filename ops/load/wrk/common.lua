-- What feast.lua and lookup.lua share: a thousand ready requests for random entities, sent in a random order.
--
--   TIDEMARK_LOAD_FEATURES   features as view:feature, with commas (the demo's)
--   TIDEMARK_LOAD_KEY        the join key (user_id)
--   TIDEMARK_LOAD_FIRST, _LAST   its values (1...2000)
--   TIDEMARK_LOAD_ENTITIES   how many entities a request has (1)
--   TIDEMARK_LOAD_SEED       of the random order (1); each thread has its own
-- At the end it prints a line of JSON: requests a second, latencies in microseconds, and what went wrong.

local load = {}

local function setting(name, default)
    local value = os.getenv("TIDEMARK_LOAD_" .. name)
    if value == nil or value == "" then return default end
    return value
end

load.features = {}
local defaults = "user_week:events,user_week:views,user_week:orders,user_activity:last_event,user_activity:last_item"
for feature in string.gmatch(setting("FEATURES", defaults), "[^,]+") do
    load.features[#load.features + 1] = '"' .. feature .. '"'
end
load.key = setting("KEY", "user_id")
local first, last = tonumber(setting("FIRST", "1")), tonumber(setting("LAST", "2000"))
local entities = tonumber(setting("ENTITIES", "1"))
local requests = {}

function load.prepare(path, body)
    math.randomseed(tonumber(setting("SEED", "1")) + (load.thread or 0) * 7919)
    local headers = { ["Content-Type"] = "application/json" }
    for number = 1, 1000 do
        local ids = {}
        for place = 1, entities do ids[place] = math.random(first, last) end
        requests[number] = wrk.format("POST", path, headers, body(ids))
    end
end

function load.request() return requests[math.random(#requests)] end

function load.report(summary, latency)
    local errors = summary.errors
    io.write(string.format(
        '{"requests":%d,"seconds":%.6f,"bytes":%d,"p50":%.1f,"p99":%.1f,"p999":%.1f,"max":%.1f,'
            .. '"failed":{"connect":%d,"read":%d,"write":%d,"timeout":%d,"status":%d}}\n',
        summary.requests, summary.duration / 1e6, summary.bytes, latency:percentile(50), latency:percentile(99),
        latency:percentile(99.9), latency.max, errors.connect, errors.read, errors.write, errors.timeout, errors.status))
end

return load
