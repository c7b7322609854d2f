-- wrk -t2 -c64 -d10s --latency -s ops/load/wrk/feast.lua http://127.0.0.1:6566: Feast's route. Settings: common.lua.
local load = dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "common.lua")
local threads = 0

function setup(thread)
    thread:set("number", threads)
    threads = threads + 1
end

function init()
    load.thread = number
    load.prepare("/get-online-features", function(ids)
        return '{"features":[' .. table.concat(load.features, ",") .. '],"entities":{"' .. load.key .. '":[' .. table.concat(ids, ",") .. ']}}'
    end)
end

function request() return load.request() end

function done(summary, latency) load.report(summary, latency) end
