-- wrk -t2 -c16 -d10s --latency -s ops/load/wrk/recommend.lua http://127.0.0.1:6566: recommendations. Settings: common.lua, and
--   TIDEMARK_LOAD_PIPELINE   the pipeline (home)
--   TIDEMARK_LOAD_K          how many items (20)
-- With other statuses than 200 it counts what was refused; `rungs` at the end says how answers came about, by rung.
local load = dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "common.lua")
local threads = {}

function setup(thread)
    thread:set("number", #threads)
    threads[#threads + 1] = thread
end

function init()
    load.thread = number
    rungs = {}
    local pipeline, k = os.getenv("TIDEMARK_LOAD_PIPELINE") or "home", os.getenv("TIDEMARK_LOAD_K") or "20"
    load.prepare("/v1/recommend", function(ids)
        return '{"pipeline":"' .. pipeline .. '","entity":{"' .. load.key .. '":' .. ids[1] .. '},"k":' .. k .. '}'
    end)
end

function request() return load.request() end

function response(status, headers, body)
    local rung = status == 200 and string.match(body, '"rung":"(%w+_?%w*)"') or tostring(status)
    rungs[rung] = (rungs[rung] or 0) + 1
end

function done(summary, latency)
    local total = {}
    for _, thread in ipairs(threads) do
        for rung, count in pairs(thread:get("rungs")) do total[rung] = (total[rung] or 0) + count end
    end
    local words = {}
    for rung, count in pairs(total) do words[#words + 1] = '"' .. rung .. '":' .. count end
    io.write('{"rungs":{' .. table.concat(words, ",") .. "}}\n")
    load.report(summary, latency)
end
