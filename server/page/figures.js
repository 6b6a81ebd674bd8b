// figures.js: what the answers of the server make known: rates, percentiles, and what all requests do.

const KINDS = ['runs', 'cpu', 'ready', 'pool', 'socket', 'dns', 'lock', 'disk', 'sleep', 'child', 'thread', 'pipe',
  'client', 'place', 'other'];
const kindColor = name => `var(--${name === 'cpu' ? 'runs' : KINDS.includes(name) ? name : 'other'})`;
const SPAN = 5; // seconds over which percentiles are taken

const total = (list, name) => list.reduce((sum, item) => sum + (item[name] || 0), 0);

// The sums since the start, as the server gives them.
function sumsOf(status) {
  const totals = status.totals || {}, duration = totals.duration || {};
  return {
    server: status.master.pid, at: status.master.uptime_us / 1e6,
    requests: totals.requests ?? total(status.workers, 'requests'),
    classes: totals.responses || {}, cpu: totals.process_cpu_us,
    times: new Map(status.workers.map(worker => [worker.pid, worker.time])),
    bounds: duration.bounds_us || [], counts: duration.counts || [],
  };
}

const grown = (now, before, seconds) =>
  Object.fromEntries(Object.keys(now).map(key => [key, Math.max(0, now[key] - (before[key] || 0)) / seconds]));

// The duration in seconds below which that part of the requests has ended; null: none has.
function percentile(bounds, counts, part) {
  const all = counts.reduce((sum, count) => sum + count, 0);
  let below = 0;
  for (let i = 0; all > 0 && i < counts.length; i++) {
    if (counts[i] > 0 && below + counts[i] >= part * all) {
      const least = i > 0 ? bounds[i - 1] : 0, most = i < bounds.length ? bounds[i] : least;
      return (least + (most - least) * (part * all - below) / counts[i]) / 1e6;
    }
    below += counts[i];
  }
  return null;
}

// What all workers have spent, by kind, in seconds per second. A worker that has not
// answered one of the two times, since it is stuck or new, is left out.
function timesBetween(before, now, microseconds) {
  const times = {};
  for (const [pid, time] of now)
    for (const kind in before.get(pid) && time)
      times[kind] = (times[kind] || 0) + Math.max(0, time[kind] - before.get(pid)[kind]) / microseconds;
  return times;
}

class History {
  constructor() {
    this.samples = []; // {t, known, ...}
    this.sums = []; // of the last seconds
    this.served = new Map(); // pid of a worker: its requests, and when
  }

  keep(sample) {
    this.samples.push(sample);
    while (this.samples[0].t < sample.t - WINDOW - 5) this.samples.shift();
    return sample;
  }

  // The server has not answered.
  miss(t) {
    this.sums = [];
    return this.keep({t, known: false});
  }

  // own: how many of the running requests are those by which this page asks.
  add(t, status, requests, own) {
    const sums = sumsOf(status), last = this.sums[this.sums.length - 1];
    if (last && (last.server !== sums.server || last.requests > sums.requests)) this.sums = [];
    const before = this.sums[this.sums.length - 1], first = this.sums[0];
    this.sums.push(sums);
    while (this.sums.length > 1 && this.sums[0].at < sums.at - SPAN) this.sums.shift();
    const sample = {t, known: true, doing: {}, workers: {}, outbound: peersOf(requests), rates: null};
    for (const worker of status.workers) {
      sample.workers[worker.state] = (sample.workers[worker.state] || 0) + 1;
      for (const kind in worker.doing || {}) sample.doing[kind] = (sample.doing[kind] || 0) + worker.doing[kind];
    }
    sample.doing.other = Math.max(0, (sample.doing.other || 0) - own);
    for (const name of ['in_flight', 'queued', 'connections']) sample[name] = total(status.workers, name);
    sample.in_flight = Math.max(0, sample.in_flight - own);
    if (before && sums.at > before.at) this.addRates(sample, sums, before, first);
    this.addServed(t, status.workers);
    return this.keep(sample);
  }

  addRates(sample, sums, before, first) {
    const seconds = sums.at - before.at;
    const counts = sums.counts.map((count, i) => count - (first.counts[i] || 0));
    sample.rates = {
      requests: (sums.requests - before.requests) / seconds,
      classes: grown(sums.classes, before.classes, seconds),
      cpu: sums.cpu === undefined ? null : (sums.cpu - before.cpu) / 1e6 / seconds,
      times: timesBetween(before.times, sums.times, seconds * 1e6),
    };
    for (const part of [50, 95, 99]) sample.rates[`p${part}`] = percentile(sums.bounds, counts, part / 100);
  }

  addServed(t, workers) {
    const before = this.served;
    this.served = new Map(workers.map(worker => {
      const last = before.get(worker.pid), count = worker.requests ?? last?.count;
      const rate = last && t > last.t && count >= last.count ? (count - last.count) / (t - last.t) : null;
      return [worker.pid, {t, count, rate}];
    }));
  }
}

// How many of the requests wait for each peer.
function peersOf(requests) {
  const peers = {};
  for (const request of requests)
    if (request.wait && ['socket', 'dns'].includes(request.wait.kind) && request.wait.of)
      peers[request.wait.of] = (peers[request.wait.of] || 0) + 1;
  return peers;
}
