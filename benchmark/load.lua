-- load.lua: the requests of wrk, and its figures as one line of JSON.
-- Arguments after --: method, number of pipelined requests, size of the body in bytes, keep or close.

function init(args)
   wrk.method = args[1]
   depth = tonumber(args[2])
   local size = tonumber(args[3])
   if size > 0 then
      wrk.body = string.rep("x", size)
   end
   if args[4] == "close" then
      wrk.headers["Connection"] = "close"
   end
   if depth > 1 then -- only then, because wrk calls a function named request each time
      local all = string.rep(wrk.format(), depth)
      request = function() return all end
   end
end

function done(summary, latency, requests)
   local errors = summary.errors
   io.write(string.format(
      '\nRESULT {"requests": %d, "seconds": %.6f, "bytes": %d, "p50": %.3f, "p99": %.3f, "errors": %d}\n',
      summary.requests, summary.duration / 1e6, summary.bytes, latency:percentile(50) / 1e3,
      latency:percentile(99) / 1e3, errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
