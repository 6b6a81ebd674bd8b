// chart.js: a chart of the last five minutes, as SVG: curves, or areas that are stacked.

const WINDOW = 300; // seconds; in the first five minutes it is what there is, but at least a minute
const SPACE = {left: 46, right: 6, top: 10, bottom: 18}; // around the plot, pixels

// Returns the least end of the scale that is not below n; a half of it is a round number too.
function niceLimit(n) {
  const power = 10 ** Math.floor(Math.log10(n));
  return power * [1, 2, 4, 6, 8, 10].find(step => step * power >= n * 0.999);
}

class Chart {
  // take(sample) returns {name: value}, or null where nothing is known. colors(name, index) is a CSS color.
  // most: so many names are told apart.
  constructor({title, stacked, show, colors, take, order, least, most}) {
    Object.assign(this, {title, stacked, show, colors, take, order: order || [], least: least || 1, most});
    this.now = make('span', {class: 'now'});
    this.plot = draw('svg', {role: 'img'});
    this.legend = make('ul', {class: 'legend'});
    this.tip = make('div', {class: 'tip', hidden: true});
    this.element = make('figure', {data: {chart: title}},
      make('figcaption', {}, make('span', {}, title), this.now), this.plot, this.legend, this.tip);
    this.points = [];
    this.plot.addEventListener('pointermove', event => this.hover(event.clientX));
    this.plot.addEventListener('pointerleave', () => this.hover(null));
    this.names = [];
  }

  update(samples, now) {
    this.end = now;
    this.window = Math.min(WINDOW, Math.max(60, now - (samples.length ? samples[0].t : now)));
    this.points = samples.map(sample => ({t: sample.t, values: sample.known ? this.take(sample) : null}));
    const sums = new Map();
    for (const {values} of this.points)
      for (const name in values)
        if (values[name] || !this.stacked) sums.set(name, (sums.get(name) || 0) + values[name]);
    const names = this.most && sums.size > this.most ? this.foldRare(sums) : sums.keys();
    const rank = name => (this.order.indexOf(name) + 1) || this.order.length + 1;
    this.names = [...names].sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
    this.render();
  }

  // Count those beside the largest ones together. Returns the names that are left.
  foldRare(sums) {
    const kept = new Set([...sums].sort((a, b) => b[1] - a[1]).slice(0, this.most).map(([name]) => name));
    for (const point of this.points) {
      const folded = {others: 0};
      for (const name in point.values)
        folded[kept.has(name) ? name : 'others'] = (kept.has(name) ? 0 : folded.others) + point.values[name];
      if (point.values) point.values = folded;
    }
    return [...kept, 'others'];
  }

  sum(values) {
    return this.names.reduce((sum, name) => sum + (values[name] || 0), 0);
  }

  largest() {
    let most = 0;
    for (const {values} of this.points)
      if (values) most = Math.max(most, this.stacked ? this.sum(values) : Math.max(...Object.values(values)));
    return most;
  }

  render() {
    const width = this.plot.clientWidth || 400, height = this.plot.clientHeight || 150;
    const limit = niceLimit(Math.max(this.largest(), this.least));
    this.x = t => SPACE.left + (width - SPACE.left - SPACE.right) * (1 - (this.end - t) / this.window);
    this.y = value => height - SPACE.bottom - (height - SPACE.top - SPACE.bottom) * value / limit;
    this.box = {width, height};
    this.plot.setAttribute('viewBox', `0 0 ${width} ${height}`);
    this.plot.replaceChildren(...this.grid(limit), ...this.curves());
    this.describe();
    this.hover(this.hovered ?? null);
  }

  grid(limit) {
    const {width, height} = this.box, lines = [];
    for (let part = 0; part <= 4; part++) {
      const y = this.y(limit * part / 4);
      lines.push(draw('path', {class: 'grid', d: `M${SPACE.left} ${y.toFixed(1)}H${width - SPACE.right}`}));
      if (part % 2 === 0)
        lines.push(draw('text', {x: String(SPACE.left - 6), y: (y + 4).toFixed(1), 'text-anchor': 'end'},
          this.show(limit * part / 4)));
    }
    const step = [20, 30, 60, 120].find(seconds => this.window / seconds <= 3.5);
    for (let ago = 0; ago < this.window - step / 4; ago += step)
      lines.push(draw('text', {x: this.x(this.end - ago).toFixed(1), y: String(height - 4),
        'text-anchor': ago ? 'middle' : 'end'}, !ago ? 'now' : ago < 60 ? `−${ago} s` : `−${ago / 60} min`));
    return lines;
  }

  // The runs of points in which has(values) is true.
  runs(has) {
    const runs = [[]];
    for (const point of this.points)
      if (point.values && has(point.values)) runs[runs.length - 1].push(point);
      else if (runs[runs.length - 1].length) runs.push([]);
    return runs.filter(run => run.length);
  }

  curves() {
    const at = (point, value) => `${this.x(point.t).toFixed(1)} ${this.y(value).toFixed(1)}`;
    if (!this.stacked)
      return this.names.map((name, index) => {
        const runs = this.runs(values => values[name] !== null && values[name] !== undefined);
        const line = run =>
          'M' + run.map(point => at(point, point.values[name])).join('L') + (run.length > 1 ? '' : 'h.1');
        const curve = draw('path', {class: 'curve', d: runs.map(line).join('')});
        curve.style.stroke = this.colors(name, index);
        return curve;
      });
    const below = this.points.map(() => 0), places = new Map(this.points.map((point, index) => [point, index]));
    return this.names.map((name, index) => {
      const shape = this.runs(() => true).map(run => {
        const lower = run.map(point => at(point, below[places.get(point)]));
        for (const point of run) below[places.get(point)] += point.values[name] || 0;
        const upper = run.map(point => at(point, below[places.get(point)]));
        return 'M' + upper.join('L') + 'L' + lower.reverse().join('L') + 'Z';
      });
      const area = draw('path', {class: 'area', d: shape.join('')});
      area.style.fill = this.colors(name, index);
      return area;
    });
  }

  // What is seen, in words and for screen readers.
  describe() {
    const last = this.points.length ? this.points[this.points.length - 1].values : null;
    const text = name => last ? this.show(this.stacked ? last[name] || 0 : last[name]) : '–';
    say(this.now, last && this.stacked ? this.show(this.sum(last)) : '');
    const items = this.names.map((name, index) => {
      const item = this.legend.children[index] ||
        this.legend.appendChild(make('li', {}, make('span', {class: 'key'}), make('span')));
      item.firstChild.style.background = this.colors(name, index);
      say(item.lastChild, `${name} ${text(name)}`);
      return item;
    });
    while (this.legend.children.length > items.length) this.legend.lastChild.remove();
    this.plot.setAttribute('aria-label', `${this.title}, now: ` +
      (this.names.map(name => `${name} ${text(name)}`).join(', ') || 'nothing') +
      `; at most ${this.show(this.largest())} in this time`);
  }

  // Show the values below the pointer; null: it has left.
  hover(clientX) {
    this.hovered = clientX;
    this.cross?.remove();
    const seen = clientX === null ? [] : this.points.filter(point => point.values);
    this.tip.hidden = !seen.length;
    if (!seen.length) return;
    const left = clientX - this.plot.getBoundingClientRect().left;
    const point = seen.reduce((a, b) => Math.abs(this.x(a.t) - left) <= Math.abs(this.x(b.t) - left) ? a : b);
    const x = this.x(point.t);
    this.cross = this.plot.appendChild(
      draw('path', {class: 'cross', d: `M${x} ${SPACE.top}V${this.box.height - SPACE.bottom}`}));
    this.tip.replaceChildren(new Date(point.t * 1000).toLocaleTimeString(), make('ul', {}, ...this.names
      .map((name, index) => [name, index, point.values[name]]).filter(([, , value]) => value || !this.stacked).reverse()
      .map(([name, index, value]) => make('li', {}, make('span', {},
        make('span', {class: 'key', color: this.colors(name, index)}), name), make('span', {}, this.show(value))))));
    this.tip.style.left = x < this.box.width / 2 ? `${x + 26}px` : 'auto';
    this.tip.style.right = x < this.box.width / 2 ? 'auto' : `${this.box.width - x + 26}px`;
  }
}
