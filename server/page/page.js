// page.js: asks each second, and shows the answer.

const TICK = 1000; // milliseconds
const MOST = 100; // running requests of each worker that are asked for, the oldest
const PEER_COLORS = ['socket', 'runs', 'disk', 'client', 'thread', 'dns', 'pool', 'other']
  .map(name => `var(--${name})`);

// A name keeps its color while the page is open.
function colorsInOrder() {
  const order = [];
  return name => PEER_COLORS[(order.includes(name) ? order.indexOf(name) : order.push(name) - 1) % PEER_COLORS.length];
}

const STATES = {serving: 'var(--good)', starting: 'var(--runs)', stopping: 'var(--dns)', stuck: 'var(--bad)'};
const CLASSES = {'1xx': 'var(--other)', '2xx': 'var(--disk)', '3xx': 'var(--ready)', '4xx': 'var(--dns)',
  '5xx': 'var(--bad)', other: 'var(--sleep)'};

const charts = [
  new Chart({title: 'Requests per second', stacked: true, show: showNumber,
    colors: name => CLASSES[name] || 'var(--runs)',
    take: sample => sample.rates && (Object.keys(sample.rates.classes).length ? sample.rates.classes
      : {all: sample.rates.requests}), order: Object.keys(CLASSES)}),
  new Chart({title: 'Duration', show: showTime, order: ['p50', 'p95', 'p99'], least: 0.0001,
    colors: name => ({p50: 'var(--disk)', p95: 'var(--socket)', p99: 'var(--lock)'})[name],
    take: sample => sample.rates && {p50: sample.rates.p50, p95: sample.rates.p95, p99: sample.rates.p99}}),
  new Chart({title: 'In flight, by what they do', least: 2, stacked: true, show: showNumber, colors: kindColor,
    order: KINDS,
    take: sample => sample.queued ? {...sample.doing, place: sample.queued} : sample.doing}),
  new Chart({title: 'CPU and waits, seconds per second', stacked: true, show: showNumber, colors: kindColor,
    order: KINDS, least: 0.1, take: sample => sample.rates?.times}),
  new Chart({title: 'Workers', least: 2, stacked: true, show: showNumber, order: Object.keys(STATES),
    colors: name => STATES[name],
    take: sample => sample.workers}),
  new Chart({title: 'Outbound: requests that wait, by peer', least: 2, stacked: true, show: showNumber,
    colors: colorsInOrder(), most: 6, take: sample => sample.outbound}),
];

const history_ = new History(), slow = new SlowRequests();
const running = new Rows($('requests'), 'worker'), slowRows = new Rows($('slow'), '');
const page = {paused: false, since: null, answer: null};

// ---- parts ----

function showTiles(sample) {
  const rates = sample.rates || {};
  const failures = rates.classes?.['5xx'];
  const tiles = [['Requests/s', showNumber(rates.requests)],
    ...['p50', 'p95', 'p99'].map(name => [name, showTime(rates[name])]),
    ['In flight', showNumber(sample.in_flight)], ['Queued', showNumber(sample.queued)],
    ['CPU', rates.cpu === null || rates.cpu === undefined ? '–' : `${Math.round(rates.cpu * 100)} %`],
    ['5xx/s', showNumber(failures), failures > 0], ['Connections', showNumber(sample.connections)]];
  tiles.forEach(([name, text, bad], i) => {
    const tile = $('tiles').children[i] ||
      $('tiles').appendChild(make('dl', {class: 'tile'}, make('dt', {}, name), make('dd')));
    say(tile.lastChild, text);
    tile.classList.toggle('bad', !!bad);
  });
}

function showWorkers(workers) {
  const body = $('workers').tBodies[0];
  const labels = [null, null, 'up', 'requests/s', 'requests', 'in flight', 'queued', 'connections'];
  workers.forEach((worker, i) => {
    const row = body.rows[i] || body.appendChild(make('tr', {}, ...labels.map((label, column) =>
      make('td', {class: column > 1 ? 'n' : column ? 'of' : '', ...(label ? {data: {label}} : {})}))));
    const texts = [`${worker.number} (pid ${worker.pid})`, null, showMicroseconds(worker.uptime_us),
      showNumber(history_.served.get(worker.pid)?.rate), ...['requests', 'in_flight', 'queued', 'connections']
        .map(name => showNumber(worker[name]))];
    texts.forEach((text, column) => column !== 1 && say(row.cells[column], text));
    row.cells[1].replaceChildren(make('span', {class: `badge ${worker.state}`}, worker.state),
      worker.stuck_in ? ` ${worker.stuck_in}${worker.note ? ': ' + worker.note : ''}` : '');
  });
  while (body.rows.length > workers.length) body.lastChild.remove();
}

function showRequests() {
  const {requests, answer} = page;
  const words = $('find').value.trim().toLowerCase();
  const key = $('sort').value;
  const has = ({id, method, target, peer, mount, ...request}) => !words ||
    [id, method, target, peer, mount, doingOf(request)].some(text => (text || '').toLowerCase().includes(words));
  const found = requests.filter(has).sort((a, b) => (b[key] || 0) - (a[key] || 0));
  running.put(found.slice(0, MOST), request => request.worker);
  const all = Math.max(found.length, total(answer.workers, 'in_flight') + total(answer.workers, 'queued') - page.own);
  say($('requests-count'), found.length < all ? `${Math.min(found.length, MOST)} of ${all}` : String(found.length));
  $('requests-empty').hidden = running.rows.size > 0;
  $('requests').hidden = running.rows.size === 0;
  const list = slow.list();
  slowRows.put(list, request => request.gone ? 'ended' : 'runs', request => request.gone);
  say($('slow-count'), list.length ? String(list.length) : '');
  $('slow-empty').hidden = slowRows.rows.size > 0;
  $('slow').hidden = slowRows.rows.size === 0;
}

// The request in which a worker is stuck has no ID: it is shown with the worker.
function showServer(status) {
  const {master, workers} = status, stuck = workers.filter(worker => worker.state === 'stuck').length;
  document.body.dataset.state = stuck ? 'draining' : master.state;
  say($('state-text'), master.state + (stuck ? `, ${stuck} of ${workers.length} workers stuck` : ''));
  say($('facts'), `up ${showMicroseconds(master.uptime_us)} · ${workers.length} workers · master ${master.pid}`);
  say($('alarm'), master.reload_failure ? `The last reload failed: ${master.reload_failure}` : '');
  $('alarm').hidden = !master.reload_failure;
}

function showLoss(error) {
  page.since ??= new Date();
  document.body.dataset.state = 'disconnected';
  say($('state-text'), `disconnected since ${page.since.toLocaleTimeString()}`);
  say($('facts'), `asking again every second: ${error.message}`);
}

// ---- each second ----

// Requests by which this page asks are of no interest.
const isOwn = request => base.endsWith(request.mount) &&
  /^\/(status|requests|trace)\b/.test(request.target.slice(request.mount.length));

async function askAll() {
  const [status, answer] = await Promise.all([ask('status'), ask(`requests?limit=${MOST}`)]);
  const requests = answer.workers.flatMap(worker =>
    worker.requests.map(request => ({...request, worker: String(worker.number)})));
  page.requests = requests.filter(request => !isOwn(request));
  page.own = requests.length - page.requests.length;
  page.complete = answer.workers.every(worker => worker.requests.length < MOST && worker.state !== 'stuck');
  page.answer = status;
  page.since = null;
}

async function tick() {
  const begun = Date.now();
  let sample;
  try {
    await askAll();
    sample = history_.add(Date.now() / 1000, page.answer, page.requests, page.own);
    slow.note(page.requests, page.complete);
    if (!page.paused) {
      showServer(page.answer);
      showTiles(sample);
      showWorkers(page.answer.workers);
      showRequests();
      running.look();
    }
  } catch (error) {
    sample = history_.miss(Date.now() / 1000);
    showLoss(error);
  }
  if (!page.paused && !document.hidden) for (const chart of charts) chart.update(history_.samples, sample.t);
  setTimeout(tick, Math.max(200, begun + TICK - Date.now()));
}

async function showAbout() {
  if (!$('about').open) return;
  try {
    const about = await ask('about');
    $('about-body').replaceChildren(
      make('dl', {class: 'pairs'}, ...Object.entries(about.versions).flatMap(([name, text]) =>
        [make('dt', {}, name), make('dd', {}, text)])),
      make('pre', {tabIndex: 0, 'aria-label': 'Configuration'}, about.configuration));
  } catch (error) {
    $('about-body').replaceChildren(make('p', {}, error.message));
  }
}

say($('place'), location.host);
document.title = `Syncless ${location.host}`;
$('charts').append(...charts.map(chart => chart.element));
$('pause').addEventListener('click', () => {
  page.paused = !page.paused;
  $('pause').setAttribute('aria-pressed', String(page.paused));
});
for (const id of ['find', 'sort']) $(id).addEventListener('input', () => page.answer && showRequests());
$('about').addEventListener('toggle', showAbout);
new ResizeObserver(() => history_.samples.length && charts.forEach(chart => chart.render())).observe($('charts'));
tick();
