// The page of vitrail explain: what is shown, its words and its controls. Nothing is fetched.
(async () => {
  const { data, element, make } = page;
  const { layout, attention } = data;
  const { percent, placeOf, rangeOf, strongest } = maps;
  const { row, patchValues, queryGrid, keyGrid, wholeGrid, headsOf, isPadded, stageOfLayer } = attentionOf(data);
  const prefix = layout.prefix.length;
  const staged = data.stages.length > 1;
  // Stages have different tokens: then there is no rollout, and each layer's map is shown by itself.
  const rollout = data.rollout.none ? null
      : Array.from(maps.decodeFloats(data.rollout.values, data.alphabet)).slice(0, prefix + layout.rows * layout.columns);
  const middle = (grid) => grid.prefix > 0 ? 0 : Math.floor(grid.rows / 2) * grid.columns + Math.floor(grid.columns / 2);

  const last = attention.layers.at(-1)?.index ?? null;
  const state = { mode: rollout ? 'rollout' : 'attention', layer: last, head: 'mean',
                  token: middle(last === null ? wholeGrid : queryGrid(last)), hover: null };
  // The grids of what is shown: of the tokens that one may choose, and of the map.
  const queries = () => state.layer === null || state.mode === 'rollout' ? wholeGrid : queryGrid(state.layer);
  const keys = () => state.layer === null || state.mode === 'rollout' ? wholeGrid : keyGrid(state.layer);
  const chosenGrid = () => state.layer === null ? wholeGrid : queryGrid(state.layer);
  let shownRow = rollout ?? [], map = [];

  window.vitrail = {
    row,
    get shown() {
      const at = state.mode === 'attention';
      return { mode: state.mode, layer: at ? state.layer : null, head: at ? state.head : null,
               token: at ? state.token : null, row: Array.from(shownRow) };
    },
  };

  const paint = (canvas, grid, values, transparency) =>
      maps.paint(canvas, grid, values, rangeOf(values), { steps: data.heat, transparency });
  const tokenName = (token) => token < chosenGrid().prefix
      ? `the ${layout.prefix[token]} token`
      : `the patch in ${placeOf(chosenGrid(), token - chosenGrid().prefix)}`;

  // ---- The picture ----

  async function picture(source) {
    const image = new Image();
    image.src = source;
    await image.decode();
    return image;
  }
  const canvas = element('stage'), patchKeys = element('patches');
  const mask = data.mask ? await picture(data.mask.source) : null;
  const stage = stageOf({ canvas, maskCanvas: element('mask'), photo: await picture(data.photo.source),
                          mask, box: data.box });
  function draw() {
    stage.draw({ hover: state.hover,
                 chosen: state.mode === 'attention' && state.token >= queries().prefix
                     ? state.token - queries().prefix : null,
                 keys: keys(), queries: queries(),
                 opacity: element('opacity').value / 100, smooth: element('smooth').checked,
                 grid: element('grid').checked });
  }
  function resize() {
    stage.fit();
    draw();
  }

  // ---- What follows from the state ----

  // Of the map's grid, where the mask was measured on it: keys may be fewer than a stage's patches.
  function coverage() {
    if (!data.mask) return null;
    if (!staged || state.layer === null) return data.mask.coverage;
    const stage = data.mask.stages[stageOfLayer(state.layer)];
    return stage.length === map.length ? stage : null;
  }
  const meanOf = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  // What the map comes to: the share in front of each sentence is emphasised.
  function sentences() {
    const list = [], total = map.reduce((sum, value) => sum + value, 0);
    if (total > 0) list.push(['', `It is strongest on ${strongest(keys(), map)}.`]);
    const object = coverage();
    if (object && total > 0) {
      const covered = meanOf(object);
      const onObject = map.reduce((sum, value, i) => sum + value * object[i], 0) / total;
      list.push([percent(onObject), ' of the attention on patches falls on the object, which covers ' +
                 `${percent(covered)} of what the model saw` +
                 (covered > 0 ? `: ${(onObject / covered).toFixed(1)} times its share.` : '.')]);
    }
    if (keys().prefix > 0)
      list.push(['', layout.prefix.map((name, i) => `${percent(shownRow[i])} goes to the ${name} token`).join(', ') +
                     ', the rest to the patches.']);
    const missing = 1 - shownRow.reduce((sum, value) => sum + value, 0);
    if (state.mode === 'attention' && state.layer !== null && isPadded(state.layer) && missing > 1e-4)
      list.push([percent(missing), ' goes to padding at the edge of the grid.']);
    return list;
  }
  function describe(where) {
    const list = sentences();
    element('caption').textContent = where;
    element('sums').replaceChildren(...list.flatMap(([share, text]) => [make('b', share), `${text} `]));
    canvas.setAttribute('aria-label', [`${data.picture} under a map of heat. ${where}.`,
                                       ...list.map(([share, text]) => share + text)].join(' '));
  }
  function readout() {
    const patch = state.hover;
    element('readout').textContent =
        patch === null ? '' : `${placeOf(keys(), patch)}: ${percent(map[patch])}`;
  }
  function press(group, chosen) {
    for (const button of element(group).querySelectorAll('button'))
      button.setAttribute('aria-pressed', String(button.dataset.value === String(chosen)));
  }
  function showHeads() {
    if (state.layer === null) return;
    showHeadButtons();
    const heads = headsOf(state.layer), buttons = [...element('heads').children];
    const rows = Array.from({ length: heads }, (unused, head) => row(state.layer, head, state.token));
    const mean = rows[0].map((unused, i) => rows.reduce((sum, r) => sum + r[i], 0) / heads);
    [mean, ...rows].forEach((weights, i) =>
        paint(buttons[i].querySelector('canvas'), keyGrid(state.layer),
              patchValues(weights, keyGrid(state.layer)), 0));
  }
  // Which grid a map lies on, where that is not the same for all.
  function gridWords() {
    const of = ({ rows, columns }) => `${rows} × ${columns}`;
    const same = keys().rows === queries().rows && keys().columns === queries().columns;
    const parts = staged ? [`stage ${stageOfLayer(state.layer)}, ${of(queries())} patches`] : [];
    if (!same) parts.push(`over a grid of ${of(keys())} keys`);
    return parts.length > 0 ? ` (${parts.join(', ')})` : '';
  }
  function update() {
    const byHead = state.mode === 'attention' && state.layer !== null;
    if (!byHead && !rollout) {  // a page that holds no layer
      element('caption').textContent = 'This page holds no map.';
      return draw();
    }
    shownRow = byHead ? row(state.layer, state.head, state.token) : rollout;
    map = patchValues(shownRow, keys());
    paint(stage.heatCanvas, keys(), map, data.transparency);
    const { low, high } = rangeOf(map);
    element('legend-low').textContent = percent(low);
    element('legend-high').textContent = percent(high);
    describe(byHead
        ? `Layer ${state.layer}, ${state.head === 'mean' ? 'mean of its heads' : `head ${state.head}`}: ` +
          `what ${tokenName(state.token)} attends to${gridWords()}`
        : `Attention rollout through ${data.rollout.layers} layers, from ${data.rollout.source}`);
    element('mode-rollout').setAttribute('aria-pressed', String(!byHead));
    element('mode-attention').setAttribute('aria-pressed', String(byHead));
    press('layers', byHead ? state.layer : '');
    press('heads', byHead ? state.head : '');
    press('tokens', byHead ? state.token : '');
    const patchChip = element('tokens').lastElementChild;
    const first = chosenGrid().prefix;
    // The stages in front of the last one may have no tokens before their patches.
    layout.prefix.forEach((name, i) => { element('tokens').children[i].hidden = i >= first; });
    patchChip.hidden = state.token < first;
    patchChip.textContent = `Patch in ${placeOf(chosenGrid(), Math.max(0, state.token - first))}`;
    if (state.token >= first) patchChip.setAttribute('aria-pressed', String(byHead));
    element('head-unit').textContent =
        state.layer === null ? '' : `of layer ${state.layer}, for ${tokenName(state.token)}`;
    showHeads();
    readout();
    draw();
  }
  function choose(change) {
    if (state.layer === null) return;
    const before = chosenGrid();
    Object.assign(state, { mode: 'attention' }, change);
    const after = chosenGrid();
    if (!('token' in change)) state.token = samePlace(before, after, state.token);
    if (before.rows !== after.rows || before.columns !== after.columns) state.hover = null;
    if (state.head !== 'mean' && state.head >= headsOf(state.layer)) state.head = 'mean';
    update();
  }
  // The token of another grid that lies where this one does.
  function samePlace(from, to, token) {
    if (to.rows * to.columns === 0) return 0;  // a class token asks alone
    if (token < from.prefix || (from.rows === to.rows && from.columns === to.columns)) return token;
    const at = token - from.prefix;
    const moved = (cell, cells, others) => Math.floor((cell + 0.5) / cells * others);
    return to.prefix + moved(Math.floor(at / from.columns), from.rows, to.rows) * to.columns +
           moved(at % from.columns, from.columns, to.columns);
  }
  function showRollout() {
    if (!rollout) return;
    state.mode = 'rollout';
    update();
  }
  function hover(patch) {
    if (patch === state.hover) return;
    state.hover = patch;
    readout();
    draw();
  }

  // ---- Controls ----

  function button(group, text, value, action) {
    const made = make('button', text, { type: 'button' });
    made.dataset.value = value;
    made.addEventListener('click', action);
    element(group).append(made);
    return made;
  }
  for (let index = 0; index < attention.total; ++index) {
    const stage = attention.stages[index];
    if (staged && stage !== attention.stages[index - 1])
      element('layers').append(make('span', `Stage ${stage}`, { className: 'unit' }));
    const made = button('layers', String(index), index, () => choose({ layer: index }));
    made.title = `Layer ${index}` + (staged ? ` of stage ${stage}` : '');
    if (!attention.layers.some((layer) => layer.index === index)) {
      made.disabled = true;
      made.title += ' is not in this page, to keep it small';
    }
  }
  // As many as the layer has heads, and their mean.
  function showHeadButtons() {
    const heads = headsOf(state.layer);
    if (element('heads').children.length === heads + 1) return;
    element('heads').replaceChildren();
    ['mean', ...Array(heads).keys()].forEach((head) => {
      const map = make('canvas', '', { ariaHidden: 'true' });  // the button has the name
      const made = button('heads', map, head, () => choose({ head }));
      made.append(head === 'mean' ? 'mean' : String(head));
      made.setAttribute('aria-label', head === 'mean' ? 'Mean of all heads' : `Head ${head}`);
      made.setAttribute('aria-pressed', String(state.mode === 'attention' && state.head === head));
    });
  }
  layout.prefix.forEach((name, token) =>
      button('tokens', `${name[0].toUpperCase()}${name.slice(1)} token`, token, () => choose({ token })));
  button('tokens', '', 'patch', () => choose({}));
  element('mode-rollout').addEventListener('click', showRollout);
  element('mode-attention').addEventListener('click', () => choose({}));
  element('mode-attention').disabled = state.layer === null;
  element('mode-rollout').disabled = !rollout;
  element('rollout-reading').hidden = !rollout;
  element('back-to-rollout').hidden = !rollout;
  element('no-rollout').hidden = Boolean(rollout);
  if (!rollout) element('no-rollout').textContent = `There is no rollout: ${data.rollout.none}.`;
  for (const id of ['opacity', 'smooth', 'grid']) element(id).addEventListener('input', draw);

  canvas.addEventListener('mousemove', (event) => hover(stage.patchAt(event, keys())));
  canvas.addEventListener('mouseleave', () => hover(null));
  canvas.addEventListener('click', (event) => {
    const patch = stage.patchAt(event, chosenGrid());
    if (patch !== null) choose({ token: chosenGrid().prefix + patch });
  });
  // Arrows choose a patch; with Shift they only read its value, as the mouse does.
  let reading = null;
  patchKeys.addEventListener('keydown', (event) => {
    // What is read is a patch of the map; what is chosen, one of the queries.
    const grid = event.shiftKey ? keys() : chosenGrid();
    if (grid.rows * grid.columns === 0) return;
    const chosen = samePlace(chosenGrid(), grid, Math.max(chosenGrid().prefix, state.token)) - grid.prefix;
    const at = Math.min(reading ?? chosen, grid.rows * grid.columns - 1);
    const line = Math.floor(at / grid.columns), column = at % grid.columns;
    const clamp = (value, size) => Math.min(size - 1, Math.max(0, value));
    const to = { ArrowLeft: [line, column - 1], ArrowRight: [line, column + 1], ArrowUp: [line - 1, column],
                 ArrowDown: [line + 1, column], Home: [line, 0], End: [line, grid.columns - 1],
                 Enter: [line, column], ' ': [line, column] }[event.key];
    if (event.key === 'Escape') showRollout();
    if (!to || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    const patch = clamp(to[0], grid.rows) * grid.columns + clamp(to[1], grid.columns);
    reading = event.shiftKey ? patch : null;
    hover(reading);
    if (!event.shiftKey) choose({ token: grid.prefix + patch });
  });
  patchKeys.addEventListener('blur', () => {
    reading = null;
    hover(null);
  });

  // ---- What never changes ----

  element('picture-name').textContent = data.picture;
  element('model-name').textContent = data.model;
  element('verdict').hidden = !data.verdict;
  element('verdict').textContent = data.verdict && `This shows ${data.verdict.replace('my', 'the model’s')}; the nearest are`;
  element('meaning').hidden = !data.meaning;
  element('meaning').textContent = data.meaning;
  for (const { label, index, probability, value, below } of data.predictions) {
    const number = value === null ? percent(probability) : String(Number(value.toPrecision(6)));
    const line = make('div', [make('span', label ?? `class ${index}`), make('span', number)],
                      { className: 'prediction-line' });
    const bar = make('div', make('i'), { className: 'bar', hidden: value !== null });
    bar.firstChild.style.width = `${100 * probability}%`;
    element('predictions').append(make('li', [line, bar], { className: below ? 'below' : '' }));
  }
  element('prediction-card').hidden = data.predictions.length === 0;
  element('mask-figure').hidden = !mask;
  element('mask').setAttribute('aria-label', data.mask ? `Mask of the object, which covers ${percent(meanOf(data.mask.coverage))} of what the model saw` : '');
  element('storage-note').textContent = attention.note;
  element('rollout-note').textContent = data.rollout.note ?? '';
  element('with-terms').hidden = !attention.layers.some((layer) => layer.terms);
  const first = attention.layers[0];
  if (first) element('scale-note').textContent = `Here d = ${first.dim}, scale = ${first.scale.toPrecision(4)}.`;
  element('legend-bar').style.background =
      `linear-gradient(90deg, ${data.heat.map((colour) => `rgb(${colour.join(' ')})`).join(', ')})`;
  window.addEventListener('resize', resize);
  stage.fit();
  update();
  document.body.dataset.ready = 'true';
})();
