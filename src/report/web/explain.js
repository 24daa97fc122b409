// The page of vitrail explain: what is shown, its words and its controls. Nothing is fetched.
(async () => {
  const { data, element, make } = page;
  const { layout, attention } = data;
  const { percent, placeOf, rangeOf, strongest } = maps;
  const { row, patchValues, headsOf } = attentionOf(data);
  const prefix = layout.prefix.length;
  const patches = layout.rows * layout.columns;
  const rollout = Array.from(maps.decodeFloats(data.rollout.values, data.alphabet)).slice(0, prefix + patches);

  const state = { mode: 'rollout', layer: attention.layers.at(-1)?.index ?? null, head: 'mean',
                  token: prefix > 0 ? 0 : Math.floor(layout.rows / 2) * layout.columns +
                                          Math.floor(layout.columns / 2),
                  hover: null };
  let shownRow = rollout, map = [];

  window.vitrail = {
    row,
    get shown() {
      const at = state.mode === 'attention';
      return { mode: state.mode, layer: at ? state.layer : null, head: at ? state.head : null,
               token: at ? state.token : null, row: Array.from(shownRow) };
    },
  };

  const paint = (canvas, values, transparency) =>
      maps.paint(canvas, layout, values, rangeOf(values), { steps: data.heat, transparency });
  const tokenName = (token) => token < prefix ? `the ${layout.prefix[token]} token`
                                              : `the patch in ${placeOf(layout, token - prefix)}`;

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
                          mask, box: data.box, layout });
  function draw() {
    stage.draw({ hover: state.hover,
                 chosen: state.mode === 'attention' && state.token >= prefix ? state.token - prefix : null,
                 opacity: element('opacity').value / 100, smooth: element('smooth').checked,
                 grid: element('grid').checked });
  }
  function resize() {
    stage.fit();
    draw();
  }

  // ---- What follows from the state ----

  const covered = data.mask ? data.mask.coverage.reduce((sum, value) => sum + value, 0) / patches : 0;
  // What the map comes to: the share in front of each sentence is emphasised.
  function sentences() {
    const list = [], total = map.reduce((sum, value) => sum + value, 0);
    if (total > 0) list.push(['', `It is strongest on ${strongest(layout, map)}.`]);
    if (data.mask && total > 0) {
      const onObject = map.reduce((sum, value, i) => sum + value * data.mask.coverage[i], 0) / total;
      list.push([percent(onObject), ' of the attention on patches falls on the object, which covers ' +
                 `${percent(covered)} of what the model saw` +
                 (covered > 0 ? `: ${(onObject / covered).toFixed(1)} times its share.` : '.')]);
    }
    if (prefix > 0)
      list.push(['', layout.prefix.map((name, i) => `${percent(shownRow[i])} goes to the ${name} token`).join(', ') +
                     ', the rest to the patches.']);
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
        patch === null ? '' : `${placeOf(layout, patch)}: ${percent(map[patch])}`;
  }
  function press(group, chosen) {
    for (const button of element(group).children)
      button.setAttribute('aria-pressed', String(button.dataset.value === String(chosen)));
  }
  function showHeads() {
    if (state.layer === null) return;
    const heads = headsOf(state.layer), buttons = [...element('heads').children];
    const rows = Array.from({ length: heads }, (unused, head) => row(state.layer, head, state.token));
    const mean = rows[0].map((unused, i) => rows.reduce((sum, r) => sum + r[i], 0) / heads);
    [mean, ...rows].forEach((weights, i) =>
        paint(buttons[i].querySelector('canvas'), patchValues(weights), 0));
  }
  function update() {
    const byHead = state.mode === 'attention';
    shownRow = byHead ? row(state.layer, state.head, state.token) : rollout;
    map = patchValues(shownRow);
    paint(stage.heatCanvas, map, data.transparency);
    const { low, high } = rangeOf(map);
    element('legend-low').textContent = percent(low);
    element('legend-high').textContent = percent(high);
    describe(byHead
        ? `Layer ${state.layer}, ${state.head === 'mean' ? 'mean of its heads' : `head ${state.head}`}: ` +
          `what ${tokenName(state.token)} attends to`
        : `Attention rollout through ${data.rollout.layers} layers, from ${data.rollout.source}`);
    element('mode-rollout').setAttribute('aria-pressed', String(!byHead));
    element('mode-attention').setAttribute('aria-pressed', String(byHead));
    press('layers', byHead ? state.layer : '');
    press('heads', byHead ? state.head : '');
    press('tokens', byHead ? state.token : '');
    const patchChip = element('tokens').lastElementChild;
    patchChip.hidden = state.token < prefix;
    patchChip.textContent = `Patch in ${placeOf(layout, Math.max(0, state.token - prefix))}`;
    if (state.token >= prefix) patchChip.setAttribute('aria-pressed', String(byHead));
    element('head-unit').textContent =
        state.layer === null ? '' : `of layer ${state.layer}, for ${tokenName(state.token)}`;
    showHeads();
    readout();
    draw();
  }
  function choose(change) {
    if (state.layer === null) return;
    Object.assign(state, { mode: 'attention' }, change);
    update();
  }
  function showRollout() {
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
    const made = button('layers', String(index), index, () => choose({ layer: index }));
    made.title = `Layer ${index}`;
    if (!attention.layers.some((layer) => layer.index === index)) {
      made.disabled = true;
      made.title += ' is not in this page, to keep it small';
    }
  }
  if (state.layer !== null)
    ['mean', ...Array(headsOf(state.layer)).keys()].forEach((head) => {
      const map = make('canvas', '', { ariaHidden: 'true' });  // the button has the name
      const made = button('heads', map, head, () => choose({ head }));
      made.append(head === 'mean' ? 'mean' : String(head));
      made.setAttribute('aria-label', head === 'mean' ? 'Mean of all heads' : `Head ${head}`);
    });
  layout.prefix.forEach((name, token) =>
      button('tokens', `${name[0].toUpperCase()}${name.slice(1)} token`, token, () => choose({ token })));
  button('tokens', '', 'patch', () => choose({}));
  element('mode-rollout').addEventListener('click', showRollout);
  element('mode-attention').addEventListener('click', () => choose({}));
  element('mode-attention').disabled = state.layer === null;
  for (const id of ['opacity', 'smooth', 'grid']) element(id).addEventListener('input', draw);

  canvas.addEventListener('mousemove', (event) => hover(stage.patchAt(event)));
  canvas.addEventListener('mouseleave', () => hover(null));
  canvas.addEventListener('click', (event) => {
    const patch = stage.patchAt(event);
    if (patch !== null) choose({ token: prefix + patch });
  });
  // Arrows choose a patch; with Shift they only read its value, as the mouse does.
  let reading = null;
  patchKeys.addEventListener('keydown', (event) => {
    const at = reading ?? Math.max(0, state.token - prefix);
    const line = Math.floor(at / layout.columns), column = at % layout.columns;
    const clamp = (value, size) => Math.min(size - 1, Math.max(0, value));
    const to = { ArrowLeft: [line, column - 1], ArrowRight: [line, column + 1], ArrowUp: [line - 1, column],
                 ArrowDown: [line + 1, column], Home: [line, 0], End: [line, layout.columns - 1],
                 Enter: [line, column], ' ': [line, column] }[event.key];
    if (event.key === 'Escape') showRollout();
    if (!to || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    const patch = clamp(to[0], layout.rows) * layout.columns + clamp(to[1], layout.columns);
    reading = event.shiftKey ? patch : null;
    hover(reading);
    if (!event.shiftKey) choose({ token: prefix + patch });
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
  element('mask').setAttribute('aria-label', `Mask of the object, which covers ${percent(covered)} of what the model saw`);
  element('storage-note').textContent = attention.note;
  element('rollout-note').textContent = data.rollout.note;
  const first = attention.layers[0];
  if (first) element('scale-note').textContent = `Here d = ${first.dim}, scale = ${first.scale.toPrecision(4)}.`;
  element('legend-bar').style.background =
      `linear-gradient(90deg, ${data.heat.map((colour) => `rgb(${colour.join(' ')})`).join(', ')})`;
  window.addEventListener('resize', resize);
  stage.fit();
  update();
  document.body.dataset.ready = 'true';
})();
