-- wrk: POSTs the file of the first argument, and counts the answers by status.
local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  local file = assert(io.open(args[1], "rb"))
  wrk.method = "POST"
  wrk.path = "/api/classify?top_k=1"
  wrk.headers["Content-Type"] = "application/octet-stream"
  wrk.body = file:read("*a")
  file:close()
  sent, ok, refused, other = 0, 0, 0, 0
end

function request()
  sent = sent + 1
  return wrk.format()
end

function response(status)
  if status == 200 then
    ok = ok + 1
  elseif status == 429 then
    refused = refused + 1
  else
    other = other + 1
  end
end

function done(summary, latency)
  local sums = {sent = 0, ok = 0, refused = 0, other = 0}
  for _, thread in ipairs(threads) do
    for name in pairs(sums) do sums[name] = sums[name] + thread:get(name) end
  end
  local errors = summary.errors
  print(string.format(
    'RESULT {"ok": %d, "refused": %d, "other": %d, "seconds": %.6f, "p50": %.6f, "p99": %.6f, ' ..
    '"connect": %d, "read": %d, "write": %d, "timeout": %d}',
    sums.ok, sums.refused, sums.other, summary.duration / 1e6, latency:percentile(50) / 1e6,
    latency:percentile(99) / 1e6, errors.connect, errors.read, errors.write, errors.timeout))
end
