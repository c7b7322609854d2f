-- wrk -t2 -c64 -d10s --latency -s ops/load/wrk/lookup.lua http://127.0.0.1:6566: our route. Settings: common.lua.
local load = dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "common.lua")
local threads = 0

function setup(thread)
    thread:set("number", threads)
    threads = threads + 1
end

function init()
    load.thread = number
    load.prepare("/v1/lookup", function(ids)
        local rows = {}
        for place, id in ipairs(ids) do rows[place] = '{"' .. load.key .. '":' .. id .. '}' end
        return '{"features":[' .. table.concat(load.features, ",") .. '],"entities":[' .. table.concat(rows, ",") .. ']}'
    end)
end

function request() return load.request() end

function done(summary, latency) load.report(summary, latency) end
