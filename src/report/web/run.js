// The page of a training run or an evaluation, from the data that it carries. Nothing is fetched.
(() => {
  const { data, element, make } = page;
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
    const drawn = data.curves.charts.map((chart) => charts.draw(chart, data.curves));
    element('charts').append(...drawn.map(({ card }) => card));
    const drawAll = () => drawn.forEach(({ redraw }) => redraw());
    drawAll();
    let width = window.innerWidth;
    window.addEventListener('resize', () => {
      if (window.innerWidth !== width) { width = window.innerWidth; drawAll(); }
    });
    for (const moment of ['beforeprint', 'afterprint']) window.addEventListener(moment, drawAll);
  }
  if (isRun) {
    tables.drawEpochs(data);
    element('event-card').hidden = data.curves.marks.length === 0;
    for (const { step, kind, text } of data.curves.marks)
      element('events').append(make('li', `step ${step}: ${kind}. ${text}`));
    if (data.epochs.length > 0 || data.curves.marks.length > 0) element('curves').hidden = false;
  }

  // ---- Confusion matrix and classes ----

  if (data.evaluation && data.evaluation.classes.length > 0) {
    element('confusion').hidden = element('classes').hidden = false;
    tables.drawMatrix(data.evaluation);
    tables.drawClasses(data.evaluation.classes);
  }

  // ---- Pictures ----

  const shown = gallery.draw();
  window.vitrail = { get shown() { return shown.map((view) => view.report()); } };

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
  (data.configuration ?? []).forEach(({ title, fields }) => {
    if (fields.length > 0)
      element('facts').append(make('details', [make('summary', `Configuration: ${title}`), list(fields)],
                                   { className: 'card' }));
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
