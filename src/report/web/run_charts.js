// Curves of a run: inline SVG, drawn at the size that it has, with a cursor for mouse and keyboard.
const charts = (() => {
  const { make } = page;
  const kHeight = 210, kMargin = { left: 54, right: 10, top: 10, bottom: 26 };
  const kNamespace = 'http://www.w3.org/2000/svg';

  function svg(name, attributes, text) {
    const made = document.createElementNS(kNamespace, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  }

  // At most `count` + 1 round numbers over a range.
  function ticks(low, high, count) {
    if (!(high > low)) return [low];
    const raw = (high - low) / count, power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((s) => s >= raw * 0.999);
    const list = [];
    for (let i = Math.ceil(low / step - 1e-9); i * step <= high * (1 + 1e-9); ++i) list.push(i * step);
    return list;
  }
  // Powers of ten, with halves and fifths between where there are few.
  function logTicks(low, high) {
    const list = [], few = high - low < 2;
    for (let power = Math.floor(low); power <= Math.ceil(high); ++power)
      for (const part of few ? [1, 2, 5] : [1]) {
        const at = power + Math.log10(part);
        if (at >= low - 1e-9 && at <= high + 1e-9) list.push(part * 10 ** power);
      }
    return list;
  }

  function text(value, format) {
    if (value === null) return 'not finite';
    if (format === 'percent') return `${(100 * value).toFixed(2)}%`;
    if (format === 'pictures/s') return `${value >= 100 ? value.toFixed(0) : value.toPrecision(3)}/s`;
    const size = Math.abs(value);
    return size !== 0 && (size < 1e-3 || size >= 1e5) ? value.toExponential(2)
                                                      : String(Number(value.toPrecision(4)));
  }
  function tickText(value, format) {
    if (format === 'percent') return `${Number((100 * value).toFixed(2))}%`;
    const size = Math.abs(value);
    return size !== 0 && (size < 1e-3 || size >= 1e5) ? value.toExponential(0)
                                                      : String(Number(value.toPrecision(6)));
  }

  // The range of the vertical axis. A few outliers do not flatten the rest: what lies above is cut,
  // and said.
  function domain(chart, log) {
    const values = chart.series.flatMap((s) => s.values).filter((v) => v !== null && (!log || v > 0));
    if (values.length === 0) return { low: 0, high: 1, cut: null };
    const sorted = values.sort((a, b) => a - b), last = sorted.length - 1;
    let low = sorted[0], high = sorted[last], cut = null;
    if (log) {
      const span = Math.max(0.1, Math.log10(high) - Math.log10(low));
      return { low: Math.log10(low) - 0.04 * span, high: Math.log10(high) + 0.04 * span, cut };
    }
    const usual = sorted[Math.floor(0.98 * last)];
    if (last > 30 && usual > 0 && high > 3 * usual) { cut = high; high = 1.25 * usual; }
    const fromZero = chart.format === 'pictures/s' || chart.id === 'learning_rate' ||
                     (low >= 0 && low < 0.45 * high);
    if (fromZero) low = Math.min(0, low);
    if (high === low) { high += Math.abs(high) || 1; }
    const pad = 0.05 * (high - low);
    high += pad;
    if (low !== 0) low -= pad;
    if (chart.format === 'percent') { low = Math.max(0, low); high = Math.min(1, high); }
    return { low, high, cut };
  }

  function draw(chart, curves) {
    const perEpoch = curves.steps_per_epoch, inEpochs = perEpoch > 0;
    const legend = make('div', chart.series.map(({ name, values }, i) =>
        make('span', [make('i'), `${name} ${text(values.at(-1), chart.format)}`], { className: `series-${Math.min(i, 3)}` })),
        { className: 'legend' });
    const head = make('div', [make('h3', chart.title), legend], { className: 'chart-head' });
    const logBox = make('input', [], { type: 'checkbox' });
    if (chart.log) head.append(make('label', [logBox, 'log scale']));
    const picture = svg('svg', { role: 'img', 'aria-label':
        `${chart.title}: ${chart.series.map((s) => `${s.name} ends at ${text(s.values.at(-1), chart.format)}`).join(', ')}.` });
    const plot = make('div', picture, { className: 'plot', tabIndex: 0 });
    plot.setAttribute('role', 'application');
    plot.setAttribute('aria-label', `Curves of ${chart.title}: arrow keys read values`);
    const output = make('output'), note = make('p', '', { className: 'hint' });
    const card = make('div', [head, plot, make('p', output, { className: 'readout' }), note], { className: 'card chart' });
    card.dataset.chart = chart.id;

    const steps = [...new Set(chart.series.flatMap((s) => s.steps))].sort((a, b) => a - b);
    const first = 0, last = Math.max(steps.at(-1), 1);
    let cursor = null, place = null;

    function redraw() {
      const width = Math.max(220, picture.clientWidth || 400);
      const { low, high, cut } = domain(chart, logBox.checked);
      const x = (step) => kMargin.left + (step - first) / (last - first) * (width - kMargin.left - kMargin.right);
      const height = (value) => {
        const v = logBox.checked ? (value > 0 ? Math.log10(value) : low) : value;
        const share = Math.min(1.02, Math.max(0, (v - low) / (high - low)));
        return kHeight - kMargin.bottom - share * (kHeight - kMargin.top - kMargin.bottom);
      };
      picture.setAttribute('viewBox', `0 0 ${width} ${kHeight}`);
      picture.replaceChildren();
      for (const value of logBox.checked ? logTicks(low, high) : ticks(low, high, 4)) {
        const y = height(value);
        picture.append(svg('line', { class: 'grid', x1: kMargin.left, x2: width - kMargin.right, y1: y, y2: y }),
                       svg('text', { x: kMargin.left - 8, y: y + 4, 'text-anchor': 'end' }, tickText(value, chart.format)));
      }
      const unit = inEpochs ? perEpoch : 1;
      for (const value of ticks(first / unit, last / unit, width < 380 ? 4 : 6))
        picture.append(svg('text', { x: x(value * unit), y: kHeight - 8, 'text-anchor': 'middle' },
                           tickText(value, 'number')));
      picture.append(svg('text', { x: 0, y: kHeight - 8 }, inEpochs ? 'epoch' : 'step'));
      for (const mark of curves.marks) {
        const line = svg('line', { class: 'mark', x1: x(mark.step), x2: x(mark.step), y1: kMargin.top, y2: kHeight - kMargin.bottom });
        line.append(svg('title', {}, `step ${mark.step}: ${mark.kind}. ${mark.text}`));
        picture.append(line);
      }
      chart.series.forEach((series, i) => {
        const group = svg('g', { class: `series-${Math.min(i, 3)}` });
        let path = '', open = false;
        series.values.forEach((value, at) => {
          if (value === null) {
            open = false;
            const px = x(series.steps[at]);
            const broken = svg('path', { class: 'broken', d: `M${px - 4} ${kMargin.top}h8l-4 7z` });
            broken.append(svg('title', {}, `not finite at step ${series.steps[at]}`));
            group.append(broken);
            return;
          }
          path += `${open ? 'L' : 'M'}${x(series.steps[at]).toFixed(1)} ${height(value).toFixed(1)}`;
          open = true;
        });
        group.append(svg('path', { class: 'line', d: path || 'M0 0' }));
        if (series.values.length <= 40)
          series.values.forEach((value, at) => {
            if (value !== null)
              group.append(svg('circle', { class: 'dot', r: 2.6, cx: x(series.steps[at]), cy: height(value) }));
          });
        picture.append(group);
      });
      cursor = svg('g', { visibility: 'hidden' });
      picture.append(cursor);
      place = { x, height, width };
      const remarks = [];
      if (cut !== null) remarks.push(`Cut off above; the largest value is ${text(cut, chart.format)}.`);
      if (chart.averaged > 1) remarks.push(`Each point is the mean of ${chart.averaged} records.`);
      note.textContent = remarks.join(' ');
      show(shown);
    }

    let shown = null;  // index into steps
    function nearest(series, step) {
      let best = 0;
      series.steps.forEach((s, i) => {
        if (Math.abs(s - step) < Math.abs(series.steps[best] - step)) best = i;
      });
      return best;
    }
    function show(index) {
      shown = index;
      cursor.replaceChildren();
      cursor.setAttribute('visibility', index === null ? 'hidden' : 'visible');
      if (index === null) { output.textContent = ''; return; }
      const step = steps[index];
      cursor.append(svg('line', { class: 'cursor', x1: place.x(step), x2: place.x(step), y1: kMargin.top, y2: kHeight - kMargin.bottom }));
      const words = [inEpochs ? `epoch ${Number((step / perEpoch).toFixed(2))}, step ${step}` : `step ${step}`];
      chart.series.forEach((series, i) => {
        const at = nearest(series, step), value = series.values[at];
        // Evaluations come once an epoch: the nearest one, if it is near.
        if (Math.abs(series.steps[at] - step) > Math.max(perEpoch, (last - first) / 40)) return;
        words.push(`${series.name} ${text(value, chart.format)}`);
        if (value !== null) {
          const group = svg('g', { class: `series-${Math.min(i, 3)}` });
          group.append(svg('circle', { class: 'dot', r: 4, cx: place.x(series.steps[at]), cy: place.height(value) }));
          cursor.append(group);
        }
      });
      output.textContent = words.join(' · ');
    }
    function point(event) {
      const box = picture.getBoundingClientRect();
      const step = first + ((event.clientX - box.left) / box.width * place.width - kMargin.left) /
          (place.width - kMargin.left - kMargin.right) * (last - first);
      let best = 0;
      steps.forEach((s, i) => { if (Math.abs(s - step) < Math.abs(steps[best] - step)) best = i; });
      show(best);
    }
    picture.addEventListener('pointermove', point);
    picture.addEventListener('pointerdown', point);
    picture.addEventListener('pointerleave', (event) => { if (event.pointerType === 'mouse') show(null); });
    plot.addEventListener('blur', () => show(null));
    plot.addEventListener('keydown', (event) => {
      const from = shown ?? (event.key === 'ArrowLeft' ? steps.length : -1);
      const to = { ArrowLeft: from - 1, ArrowRight: from + 1, Home: 0, End: steps.length - 1 }[event.key];
      if (event.key === 'Escape') show(null);
      if (to === undefined) return;
      event.preventDefault();
      show(Math.min(steps.length - 1, Math.max(0, to)));
    });
    logBox.addEventListener('change', redraw);
    return { card, redraw };
  }

  return { draw, text };
})();
