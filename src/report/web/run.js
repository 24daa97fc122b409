// The page of a training run or an evaluation, from the data that it carries. Nothing is fetched.
(() => {
  const data = JSON.parse(document.getElementById('data').textContent);
  const element = (id) => document.getElementById(id);
  function make(name, content, properties = {}) {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...(Array.isArray(content) ? content : [content ?? '']));
    return made;
  }
  const percent = (share) => share === null ? '–' : `${(100 * share).toFixed(1)}%`;
  const isRun = data.kind === 'run';

  // ---- Heading ----

  element('heading').textContent = isRun ? 'Training run' : 'Evaluation';
  element('name').textContent = data.name;
  element('about').textContent = data.about;
  if (data.state) {
    element('state').hidden = false;
    element('state').textContent = data.state.text;
    element('state').dataset.state = data.state.state;
  }
  for (const note of data.notes) element('notes').append(make('li', note));
  for (const { name, value, note } of data.tiles)
    element('tiles').append(make('div', [
      make('dt', name), make('dd', value, { className: 'value' }), make('dd', note, { className: 'note' })]));
  element('summary').hidden = data.tiles.length === 0;

  // ---- Curves ----

  if (data.curves && data.curves.charts.length > 0) {
    element('curves').hidden = false;
    const drawn = data.curves.charts.map((chart) => charts.make(chart, data.curves));
    element('charts').append(...drawn.map(({ card }) => card));
    const drawAll = () => drawn.forEach(({ draw }) => draw());
    drawAll();
    let width = window.innerWidth;
    window.addEventListener('resize', () => {
      if (window.innerWidth !== width) { width = window.innerWidth; drawAll(); }
    });
    for (const moment of ['beforeprint', 'afterprint']) window.addEventListener(moment, drawAll);
  }
  if (isRun) {
    element('epoch-card').hidden = data.epochs.length === 0;
    const columns = [['epoch', (row) => row.epoch], ['step', (row) => row.step]];
    const formats = Object.fromEntries((data.curves?.charts ?? []).map((c) => [c.id, c.format]));
    const number = (name) => (value) => value === undefined ? '–' : charts.text(value, formats[name] ?? 'number');
    const add = (title, name, pick) => {
      if (data.epochs.some((row) => pick(row) !== undefined) && (name !== 'accuracy' || formats.accuracy))
        columns.push([title, (row) => number(name)(pick(row))]);
    };
    for (const name of ['loss', 'accuracy']) add(`training ${name}`, name, (row) => row.training[name]);
    const sets = [...new Set(data.epochs.flatMap((row) => Object.keys(row.evaluations ?? {})))];
    for (const set of sets)
      for (const name of ['loss', 'accuracy']) add(`${set} ${name}`, name, (row) => row.evaluations?.[set]?.[name]);
    if (data.epochs.some((row) => row.training.seconds)) columns.push(['seconds', (row) => Math.round(row.training.seconds)]);
    element('epoch-table').append(
        make('thead', make('tr', columns.map(([name]) => make('th', name, { scope: 'col' })))),
        make('tbody', data.epochs.map((row) => make('tr', columns.map(([, value]) => make('td', String(value(row))))))));
    element('event-card').hidden = data.curves.marks.length === 0;
    for (const { step, kind, text } of data.curves.marks)
      element('events').append(make('li', `step ${step}: ${kind}. ${text}`));
    if (data.epochs.length > 0 || data.curves.marks.length > 0) element('curves').hidden = false;
  }

  // ---- Confusion matrix and classes ----

  function drawMatrix({ matrix, confused, on, mistakes }) {
    element('matrix').style.setProperty('--cell', matrix.classes.length <= 12 ? '38px' : '26px');
    const names = matrix.other ? [...matrix.classes, 'another class'] : matrix.classes;
    const body = matrix.rows.map((row, truth) => {
      const total = row.reduce((sum, count) => sum + count, 0);
      const cells = row.map((count, answer) => {
        const share = total > 0 ? count / total : 0, right = truth === answer;
        const cell = make('td', count > 0 ? String(count) : '0', { tabIndex: -1 });
        cell.className = count === 0 ? 'none' : `${right ? 'right' : 'wrong'}${share > 0.55 ? ' strong' : ''}`;
        cell.style.setProperty('--share', `${(count === 0 ? 0 : 8 + 92 * Math.sqrt(share)).toFixed(0)}%`);
        cell.dataset.says = right
            ? `${names[truth]}: ${count} of ${total} shown answers are right (${percent(share)})`
            : `${names[truth]} taken for ${names[answer]}: ${count} of ${total} (${percent(share)})`;
        cell.title = cell.dataset.says;
        return cell;
      });
      return make('tr', [make('th', names[truth], { scope: 'row', title: names[truth] }), ...cells]);
    });
    element('matrix').append(
        make('thead', make('tr', [make('th', 'true ↓   answer →'),
            ...names.map((name) => make('th', make('span', name), { scope: 'col', title: name }))])),
        make('tbody', body));
    const cells = body.map((row) => [...row.querySelectorAll('td')]);
    cells[0][0].tabIndex = 0;
    const say = (cell) => { element('matrix-readout').textContent = cell?.dataset.says ?? ''; };
    element('matrix').addEventListener('pointerover', (event) => say(event.target.closest('td')));
    element('matrix').addEventListener('focusin', (event) => say(event.target.closest('td')));
    element('matrix').addEventListener('keydown', (event) => {
      const move = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
      const row = cells.findIndex((line) => line.includes(event.target));
      if (!move || row < 0) return;
      event.preventDefault();
      const next = cells[row + move[0]]?.[cells[row].indexOf(event.target) + move[1]];
      if (!next) return;
      event.target.tabIndex = -1;
      next.tabIndex = 0;
      next.focus();
    });
    element('matrix-note').textContent = matrix.left_out > 0
        ? `The ${matrix.classes.length} classes with the most mistakes; ${matrix.left_out} others are in the table below.` : '';
    element('judged-on').textContent = `On ${on}: ${mistakes} mistakes.`;
    for (const { label, answer, count } of confused)
      element('confused').append(make('li', [make('span', `${label} → ${answer}`), make('b', String(count))]));
    element('confused-card').hidden = confused.length === 0;
  }

  function drawClasses(rows) {
    const columns = [['Class', 'name'], ['Precision', 'precision'], ['Recall', 'recall'], ['F1', 'f1'], ['Pictures', 'support']];
    const body = make('tbody', []);
    const heads = columns.map(([title, key]) => {
      const head = make('th', make('button', title, { type: 'button' }), { scope: 'col' });
      head.addEventListener('click', () => sort(key, head));
      return head;
    });
    function fill() {
      body.replaceChildren(...rows.map((row) => make('tr', columns.map(([, key]) => {
        if (key === 'name') return make('th', row.name, { scope: 'row' });
        if (key === 'support') return make('td', String(row.support));
        const cell = make('td', percent(row[key]), { className: 'share' });
        cell.style.setProperty('--share', `${(100 * (row[key] ?? 0)).toFixed(1)}%`);
        return cell;
      }))));
    }
    // Numbers begin with the smallest: what is weak is what one looks for.
    function sort(key, head) {
      const down = head.getAttribute('aria-sort') === 'ascending';
      heads.forEach((other) => other.removeAttribute('aria-sort'));
      head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
      const compare = (a, b) => key === 'name' ? a.name.localeCompare(b.name, 'en', { numeric: true })
                                               : (a[key] ?? -1) - (b[key] ?? -1);
      rows = [...rows].sort((a, b) => down ? compare(b, a) : compare(a, b));
      fill();
    }
    element('class-table').append(make('thead', make('tr', heads)), body);
    fill();
  }

  if (data.evaluation && data.evaluation.classes.length > 0) {
    element('confusion').hidden = element('classes').hidden = false;
    drawMatrix(data.evaluation);
    drawClasses(data.evaluation.classes);
  }

  // ---- Pictures with their attention ----

  const colours = { steps: data.heat, transparency: data.transparency };
  const shown = data.gallery.map((item) => {
    const image = make('img', '', { src: item.source, alt: item.label ? `${item.label}: ${item.id}` : item.id });
    const canvas = document.createElement('canvas');
    canvas.setAttribute('aria-hidden', 'true');
    const stack = make('button', [image, canvas], { type: 'button', className: 'stack' });
    const values = Object.fromEntries(['rollout', 'last'].map((kind) => [kind,
        item[kind] === null ? null : Array.from(maps.decodeFloats(item[kind], data.alphabet)).slice(0, item.rows * item.columns)]));
    image.addEventListener('load', () => { if (image.naturalWidth <= 64) stack.classList.add('pixels'); });
    const caption = make('figcaption', []);
    if (data.gallery_of_mistakes)
      caption.append(make('span', [make('b', item.answer), ` ${percent(item.answer_probability)}`], { className: 'answer' }),
                     make('span', `is ${item.label}, ${percent(item.label_probability)}`));
    else
      caption.append(make('span', item.label));
    caption.append(make('span', item.id, { className: 'muted' }));
    element('gallery').append(make('figure', [stack, caption]));
    const view = { stack, canvas, item, values, plain: false };
    stack.addEventListener('click', () => { view.plain = !view.plain; showMaps(); });
    return view;
  });
  let kind = 'rollout';
  function showMaps() {
    for (const { stack, canvas, item, values, plain } of shown) {
      const map = kind === 'none' || plain ? null : values[kind];
      stack.classList.toggle('mapped', map !== null);
      stack.setAttribute('aria-pressed', String(map !== null));
      if (map === null) continue;
      maps.paint(canvas, item, map, maps.rangeOf(map), colours);
      canvas.style.opacity = element('opacity').value / 100;
    }
    for (const button of document.querySelectorAll('[data-map]'))
      button.setAttribute('aria-pressed', String(button.dataset.map === kind));
  }
  for (const button of document.querySelectorAll('[data-map]'))
    button.addEventListener('click', () => {
      kind = button.dataset.map;
      shown.forEach((view) => { view.plain = false; });
      showMaps();
    });
  element('opacity').addEventListener('input', showMaps);
  if (shown.length > 0) {
    element('pictures').hidden = false;
    element('pictures-title').textContent = data.gallery_of_mistakes ? 'The worst mistakes' : 'What it attends to';
    element('pictures-lead').textContent = data.gallery_of_mistakes
        ? 'Where the true class was least expected. In bold the answer, then what it is.'
        : 'Pictures that it was not trained on, with the attention of the token that stands for them.';
    const mapped = shown.some(({ values }) => values.rollout !== null);
    element('map-toolbar').hidden = element('map-note').hidden = !mapped;
    if (!mapped) kind = 'none';
    showMaps();
  }
  window.vitrail = { get shown() {
    return shown.map(({ item, values, stack }) => ({ id: item.id, ...values, mapped: stack.classList.contains('mapped') }));
  } };

  // ---- Training pictures ----

  for (const { source, label } of data.samples) {
    const image = make('img', '', { src: source, alt: `training picture: ${label}` });
    const stack = make('span', image, { className: 'stack' });
    image.addEventListener('load', () => { if (image.naturalWidth <= 64) stack.classList.add('pixels'); });
    element('sample-grid').append(make('figure', [stack, make('figcaption', label)]));
  }
  element('samples').hidden = data.samples.length === 0;

  // ---- Commands, machine, configuration ----

  for (const [what, command] of data.commands) {
    const code = make('code', command, { tabIndex: 0 });
    const button = make('button', 'Copy', { type: 'button' });
    button.setAttribute('aria-label', `Copy: ${command}`);
    button.addEventListener('click', async () => {
      try {
        await navigator.clipboard.writeText(command);
        button.textContent = 'Copied';
      } catch {
        window.getSelection().selectAllChildren(code);
        button.textContent = 'Selected';
      }
    });
    element('commands').append(make('div', [make('dt', what), make('dd', code), button]));
  }
  element('next').hidden = data.commands.length === 0;

  function list(fields) {
    return make('dl', fields.flatMap(([name, value]) => [make('dt', name.replaceAll('_', ' ')), make('dd', value)]));
  }
  data.machine.forEach((fields, i) => element('facts').append(make('div', [
    make('h3', data.machine.length > 1 ? `Machine, process ${i + 1}` : 'Machine'), list(fields)], { className: 'card' })));
  (data.configuration ?? []).forEach(({ title, fields }, i) => {
    if (fields.length > 0)
      element('facts').append(make('details', [make('summary', `Configuration: ${title}`), list(fields)],
                                   { className: 'card', open: i === 0 }));
  });
  if (data.log?.length > 0) {
    element('log-card').hidden = false;
    element('log').textContent = data.log.join('\n');
  }
  element('details').hidden = element('facts').children.length === 0;

  // ---- Contents ----

  for (const section of document.querySelectorAll('main > section'))
    if (!section.hidden && section.querySelector('h2'))
      element('contents').append(make('a', section.querySelector('h2').textContent, { href: `#${section.id}` }));
  window.addEventListener('beforeprint', () => {
    for (const details of document.querySelectorAll('details')) details.open = true;
  });
  document.body.dataset.ready = 'true';
})();
