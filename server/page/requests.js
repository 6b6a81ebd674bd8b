// requests.js: the tables of requests. A row stays the same element while its request runs, so that it can be read,
// and keeps the focus, while figures change.

const ENDED = 'It has ended; this is what was seen last.';
const mayCancel = document.documentElement.dataset.cancel === 'yes';

const doingOf = request => request.wait ? `${request.wait.kind} ${request.wait.of}`.trim() : request.state;

// {kind: microseconds} of what makes up the age of a request.
function partsOf(request) {
  const parts = {cpu: request.cpu_us, ready: request.ready_us, pool: request.pool_us};
  for (const kind in request.waits) parts[kind] = request.waits[kind].us;
  return Object.entries(parts).filter(([, us]) => us > 0);
}

// The request of that ID as an answer has it, with its stack; null: it has ended.
async function trace(id) {
  const answer = await ask(`trace/${id}`);
  return answer.workers.flatMap(worker => worker.requests).find(request => request.id === id) || null;
}

function describeRequest(request) {
  const bar = make('div', {class: 'parts', 'aria-hidden': 'true'}, ...partsOf(request).map(([kind, us]) => {
    const part = make('span', {color: kindColor(kind), title: kind});
    part.style.flexGrow = String(us);
    return part;
  }));
  const parts = make('ul', {class: 'legend'}, ...partsOf(request).map(([kind, us]) =>
    make('li', {}, make('span', {class: 'key', color: kindColor(kind)}), `${kind} ${showMicroseconds(us)}`)));
  const peers = (request.peers || []).map(peer =>
    make('li', {}, `${peer.kind} ${peer.of || '(further peers)'}: ${peer.calls} calls, ${showMicroseconds(peer.us)}`));
  const stack = request.stack?.length ? request.stack
    : [request.stack ? 'none: it runs, or is no Python' : 'was not seen'];
  return [
    make('dl', {class: 'pairs'}, ...[['ID', request.id],
      ['Client', request.peer === '' ? 'Unix socket' : request.peer ?? '–'],
      ['Mount', request.mount || '/'], ['Queued before', showMicroseconds(request.queue_us)]]
      .flatMap(([name, text]) => [make('dt', {}, name), make('dd', {}, text)])),
    make('div', {}, make('h3', {}, 'Where its time went'), bar, parts, make('ul', {}, ...peers)),
    make('div', {}, make('h3', {}, 'Stack, most recent call first'), make('ol', {class: 'stack'},
      ...stack.map(line => make('li', {}, line)))),
  ];
}

// A button that asks once more, and says what came of it.
function cancelButton(id) {
  const button = make('button', {type: 'button', class: 'danger'}, 'Cancel this request');
  const result = make('span', {role: 'status'});
  let timer = 0;
  const calm = () => {
    button.classList.remove('sure');
    say(button, 'Cancel this request');
  };
  button.addEventListener('click', async () => {
    clearTimeout(timer);
    if (!button.classList.contains('sure')) {
      button.classList.add('sure');
      say(button, 'Really cancel? Its client gets an error');
      timer = setTimeout(calm, 5000);
      return;
    }
    calm();
    button.disabled = true;
    try {
      await ask(`cancel/${id}`, {method: 'POST', headers: {'X-Syncless-Action': 'cancel'}});
      say(result, 'It was cancelled.');
    } catch (error) {
      say(result, `It was not cancelled: ${error.message}`);
      button.disabled = false;
    }
  });
  return make('div', {class: 'acts'}, button, result);
}

class Row {
  constructor(request, last) {
    this.id = request.id;
    this.button = make('button', {class: 'open', type: 'button', 'aria-expanded': 'false'});
    this.button.addEventListener('click', () => this.toggle());
    this.cells = [['what', null, this.button], ['of', null], ['n', 'for'], ['n', 'age'], ['n', 'CPU'], ['n', last]].map(
      ([name, label, child]) => make('td', {class: name, ...(label ? {data: {label}} : {})}, child));
    this.element = make('tr', {data: {id: request.id}}, ...this.cells);
    this.opened = null; // the row below it, with what is known of the request
    this.gone = false;
    this.update(request, '');
  }

  update(request, last) {
    this.request = request;
    say(this.button, `${request.method} ${request.target}`);
    [doingOf(request), showMicroseconds(request.state_us), showMicroseconds(request.age_us),
      showMicroseconds(request.cpu_us), last].forEach((text, i) => say(this.cells[i + 1], text));
    this.element.classList.toggle('gone', this.gone);
  }

  toggle() {
    if (this.opened) {
      this.opened.remove();
      this.opened = null;
    } else {
      this.body = make('div', {class: 'box-body'}, 'Loading ...');
      this.box = make('div', {class: 'box'}, this.body);
      if (mayCancel && !this.gone) this.box.append(cancelButton(this.id));
      this.opened = make('tr', {class: 'detail'}, make('td', {colSpan: 6}, this.box));
      this.element.after(this.opened);
      this.look();
    }
    this.button.setAttribute('aria-expanded', String(!!this.opened));
  }

  // Show where the request is now.
  async look() {
    if (!this.opened || this.gone) return;
    try {
      const request = await trace(this.id);
      if (request) this.stack = request.stack;
      if (request) this.show(request, '');
      else this.show({...this.request, stack: this.stack}, ENDED);
    } catch (error) {
      this.show({...this.request, stack: this.stack}, error.message);
    }
  }

  show(request, note) {
    if (!this.opened) return;
    this.body.replaceChildren(...(note ? [make('p', {class: 'hint'}, note)] : []), ...describeRequest(request));
  }
}

// The rows of a table, by ID.
class Rows {
  constructor(table, last) {
    this.body = table.tBodies[0];
    this.last = last; // label of the last column
    this.rows = new Map();
  }

  // Have the rows of these requests, in this order; one that is open stays, when its request has ended.
  put(requests, textOf, isGone = () => false) {
    const wanted = new Map(requests.map(request => [request.id, request]));
    for (const [id, row] of this.rows)
      if (!wanted.has(id) && !row.opened) {
        row.element.remove();
        this.rows.delete(id);
      } else if (!wanted.has(id) && !row.gone) {
        row.gone = true;
        row.update(row.request, 'ended');
        row.show({...row.request, stack: row.stack}, ENDED);
        row.box.querySelector('.acts button')?.remove();
      }
    let after = null;
    for (const request of requests) {
      let row = this.rows.get(request.id);
      if (!row) this.rows.set(request.id, row = new Row(request, this.last));
      row.gone = isGone(request);
      row.update(request, textOf(request));
      const place = after ? after.nextSibling : this.body.firstChild;
      if (place !== row.element) {
        this.body.insertBefore(row.element, place);
        if (row.opened) row.element.after(row.opened);
      }
      after = row.opened || row.element;
    }
  }

  look() {
    for (const row of this.rows.values()) row.look();
  }
}

// Requests that were seen to be slow, also after their end.
class SlowRequests {
  constructor() {
    this.seen = new Map();
  }

  // requests: the oldest ones that run; complete: there are no others.
  note(requests, complete) {
    const running = new Set(requests.map(request => request.id));
    for (const request of requests)
      if (request.age_us >= 1e6) {
        const known = this.seen.get(request.id);
        this.seen.set(request.id, {...request, stack: known?.stack, gone: false, asked: known?.asked});
      }
    for (const [id, request] of this.seen) if (complete && !running.has(id)) request.gone = true;
    for (const [id, request] of this.seen)
      if (this.seen.size > 60 && request.gone) this.seen.delete(id);
    this.fetchStacks();
  }

  // The stack at about the moment when it became slow, of three requests a second at most.
  fetchStacks() {
    const without = [...this.seen.values()].filter(request => !request.asked && !request.gone);
    for (const {id} of without.slice(0, 3)) {
      this.seen.get(id).asked = true;
      trace(id).then(request => {
        if (request && this.seen.has(id)) this.seen.get(id).stack = request.stack;
      }).catch(() => {});
    }
  }

  list() {
    return [...this.seen.values()].sort((a, b) => a.gone - b.gone || b.age_us - a.age_us).slice(0, 50);
  }
}
