// The tables of a run's page: epochs, the confusion matrix, the classes.
const tables = (() => {
  const { element, make, percent } = page;

  function drawEpochs({ epochs, curves }) {
    element('epoch-card').hidden = epochs.length === 0;
    const columns = [['epoch', (row) => row.epoch], ['step', (row) => row.step]];
    const formats = Object.fromEntries((curves?.charts ?? []).map((c) => [c.id, c.format]));
    const number = (name) => (value) => value === undefined ? '–' : charts.text(value, formats[name] ?? 'number');
    const add = (title, name, pick) => {
      if (epochs.some((row) => pick(row) !== undefined) && (name !== 'accuracy' || formats.accuracy))
        columns.push([title, (row) => number(name)(pick(row))]);
    };
    for (const name of ['loss', 'accuracy']) add(`training ${name}`, name, (row) => row.training[name]);
    const sets = [...new Set(epochs.flatMap((row) => Object.keys(row.evaluations ?? {})))];
    for (const set of sets)
      for (const name of ['loss', 'accuracy']) add(`${set} ${name}`, name, (row) => row.evaluations?.[set]?.[name]);
    if (epochs.some((row) => row.training.seconds)) columns.push(['seconds', (row) => Math.round(row.training.seconds)]);
    element('epoch-table').append(
        make('caption', 'Means over each epoch, and the evaluation after it'),
        make('thead', make('tr', columns.map(([name]) => make('th', name, { scope: 'col' })))),
        make('tbody', epochs.map((row) => make('tr', columns.map(([, value]) => make('td', String(value(row))))))));
  }

  function drawMatrix({ matrix, confused, on, mistakes }) {
    const table = element('matrix');
    table.style.setProperty('--cell', matrix.classes.length <= 12 ? '38px' : '26px');
    const names = matrix.other ? [...matrix.classes, 'another class'] : matrix.classes;
    const body = matrix.rows.map((row, truth) => {
      const total = row.reduce((sum, count) => sum + count, 0);
      const cells = row.map((count, answer) => {
        const share = total > 0 ? count / total : 0, right = truth === answer;
        const cell = make('td', count > 0 ? String(count) : '0', { tabIndex: -1 });
        cell.className = count === 0 ? 'none' : `${right ? 'right' : 'wrong'}${share > 0.55 ? ' strong' : ''}`;
        cell.style.setProperty('--share', `${(count === 0 ? 0 : 8 + 92 * Math.sqrt(share)).toFixed(0)}%`);
        cell.dataset.says = right
            ? `${names[truth]}: ${count} of ${total} answers are right (${percent(share)})`
            : `${names[truth]} taken for ${names[answer]}: ${count} of ${total} (${percent(share)})`;
        cell.title = cell.dataset.says;
        return cell;
      });
      return make('tr', [make('th', names[truth], { scope: 'row', title: names[truth] }), ...cells]);
    });
    table.append(make('caption', 'Rows: the true class. Columns: the answer.'),
        make('thead', make('tr', [make('th', 'true ↓   answer →'),
            ...names.map((name) => make('th', make('span', name), { scope: 'col', title: name }))])),
        make('tbody', body));
    const cells = body.map((row) => [...row.querySelectorAll('td')]);
    cells[0][0].tabIndex = 0;
    const say = (cell) => { element('matrix-readout').textContent = cell?.dataset.says ?? ''; };
    table.addEventListener('pointerover', (event) => say(event.target.closest('td')));
    table.addEventListener('focusin', (event) => say(event.target.closest('td')));
    table.addEventListener('keydown', (event) => {
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
    element('judged-on').textContent = `${mistakes} ${mistakes === 1 ? 'mistake' : 'mistakes'} on ${on}.`;
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
    element('class-table').append(make('caption', 'Press a heading to sort by it'), make('thead', make('tr', heads)), body);
    fill();
  }

  return { drawEpochs, drawMatrix, drawClasses };
})();
