// Draws the explanation that the page carries. Nothing is fetched: every row of attention is
// computed here, as exp(scale * q.k - lse), from the queries, keys and log-sum-exp in #data.
(async () => {
  const data = JSON.parse(document.getElementById('data').textContent);
  const element = (id) => document.getElementById(id);
  const { layout, attention, box } = data;
  const prefix = layout.prefix.length;
  const patches = layout.rows * layout.columns;

  // ---- What the page carries ----

  const { rangeOf, percent } = maps;
  const decodeWords = (text) => maps.decodeWords(text, data.alphabet);
  const decodeFloats = (text) => maps.decodeFloats(text, data.alphabet);
  function floatOfHalf(bits) {
    const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
    if (exponent === 31) return fraction ? NaN : sign * Infinity;
    return exponent === 0 ? sign * fraction * 2 ** -24
                          : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  }
  function decodeNumbers(text, count) {
    if (attention.precision === 'f32') return decodeFloats(text).subarray(0, count);
    const halves = new Uint16Array(decodeWords(text).buffer);
    return Float32Array.from({ length: count }, (unused, i) => floatOfHalf(halves[i]));
  }

  // Tokens as they are stored: the prefix, then patches, or cells of cell x cell patches.
  const cellColumns = Math.ceil(layout.columns / attention.cell);
  const cellRows = Math.ceil(layout.rows / attention.cell);
  const storedTokens = prefix + cellRows * cellColumns;
  const cellOfPatch = (patch) =>
      Math.floor(Math.floor(patch / layout.columns) / attention.cell) * cellColumns +
      Math.floor((patch % layout.columns) / attention.cell);
  const storedToken = (token) => token < prefix ? token : prefix + cellOfPatch(token - prefix);
  const tokenSize = new Float64Array(storedTokens);  // how many tokens stand behind a stored one
  for (let token = 0; token < prefix + patches; ++token) ++tokenSize[storedToken(token)];

  const decoded = new Map();
  function layerTensors(index) {
    const layer = attention.layers.find((candidate) => candidate.index === index);
    if (!layer) throw new RangeError(`the page does not hold layer ${index}`);
    if (!decoded.has(index)) {
      const count = layer.heads * storedTokens * layer.dim;
      decoded.set(index, { ...layer, q: decodeNumbers(layer.q, count),
                           k: decodeNumbers(layer.k, count), lse: decodeFloats(layer.lse) });
    }
    return decoded.get(index);
  }

  // What `token` attends to in a head ('mean': over all heads), a weight for each stored token.
  function row(layerIndex, head, token) {
    const layer = layerTensors(layerIndex);
    if (head === 'mean') {
      const sum = new Float64Array(storedTokens);
      for (let h = 0; h < layer.heads; ++h)
        row(layerIndex, h, token).forEach((weight, i) => { sum[i] += weight / layer.heads; });
      return Array.from(sum);
    }
    const { dim, q, k } = layer, first = head * storedTokens, query = storedToken(token);
    const lse = layer.lse[first + query], weights = new Array(storedTokens);
    for (let key = 0; key < storedTokens; ++key) {
      let dot = 0;
      for (let i = 0; i < dim; ++i) dot += q[(first + query) * dim + i] * k[(first + key) * dim + i];
      weights[key] = tokenSize[key] * Math.exp(layer.scale * dot - lse);
    }
    return weights;
  }

  const rollout = Array.from(decodeFloats(data.rollout.values)).slice(0, prefix + patches);

  // ---- What is shown ----

  const state = { mode: 'rollout', layer: attention.layers.at(-1)?.index ?? null, head: 'mean',
                  token: prefix > 0 ? 0 : Math.floor(layout.rows / 2) * layout.columns +
                                          Math.floor(layout.columns / 2),
                  hover: null };
  let shownRow = rollout, map = [], range = { low: 0, high: 1 };

  window.vitrail = {
    row,
    get shown() {
      const at = state.mode === 'attention';
      return { mode: state.mode, layer: at ? state.layer : null, head: at ? state.head : null,
               token: at ? state.token : null, row: Array.from(shownRow) };
    },
  };

  // A row as values of single patches; the rollout always has them all.
  function patchValues(weights) {
    const exact = weights.length === prefix + patches;
    return Array.from({ length: patches }, (unused, patch) => {
      const token = exact ? prefix + patch : prefix + cellOfPatch(patch);
      return exact ? weights[token] : weights[token] / tokenSize[token];
    });
  }
  const heat = (t) => maps.heat(data.heat, t);
  const paint = (canvas, values, range, transparency) =>
      maps.paint(canvas, layout, values, range, { steps: data.heat, transparency });
  const placeName = (patch) => `row ${Math.floor(patch / layout.columns) + 1}, column ` +
                               `${patch % layout.columns + 1}`;
  const tokenName = (token) => token < prefix ? `the ${layout.prefix[token]} token`
                                              : `the patch in ${placeName(token - prefix)}`;

  // ---- Drawing ----

  async function picture(source) {
    const image = new Image();
    image.src = source;
    await image.decode();
    return image;
  }
  const photo = await picture(data.photo.source);
  const mask = data.mask ? await picture(data.mask.source) : null;
  const stage = element('stage'), heatCanvas = document.createElement('canvas');
  let zoom = 1;  // canvas pixels for a pixel of the photo

  function resize() {
    const figures = element('mask-figure').parentElement;
    const shares = mask && window.innerWidth > 560 ? 2 : 1;
    const width = Math.min((figures.clientWidth - 14 * (shares - 1)) / shares, 860);
    const height = Math.max(260, window.innerHeight * 0.68);
    const scale = Math.min(width / photo.naturalWidth, height / photo.naturalHeight);
    const ratio = window.devicePixelRatio || 1;
    for (const canvas of mask ? [stage, element('mask')] : [stage]) {
      canvas.parentElement.style.width = canvas.style.width = `${Math.round(photo.naturalWidth * scale)}px`;
      canvas.style.height = `${Math.round(photo.naturalHeight * scale)}px`;
      canvas.width = Math.round(photo.naturalWidth * scale * ratio);
      canvas.height = Math.round(photo.naturalHeight * scale * ratio);
    }
    zoom = stage.width / photo.naturalWidth;
    draw();
  }

  const seen = () => ({ x: box[0] * zoom, y: box[1] * zoom, width: (box[2] - box[0]) * zoom,
                        height: (box[3] - box[1]) * zoom });
  function patchBox(patch) {
    const { x, y, width, height } = seen();
    const w = width / layout.columns, h = height / layout.rows;
    return [x + (patch % layout.columns) * w, y + Math.floor(patch / layout.columns) * h, w, h];
  }
  function frame(pen, colour, width, rectangle) {
    pen.strokeStyle = colour;
    pen.lineWidth = width;
    pen.strokeRect(...rectangle);
  }
  function drawGrid(pen) {
    const { x, y, width, height } = seen();
    pen.beginPath();
    for (let column = 1; column < layout.columns; ++column) {
      pen.moveTo(x + column * width / layout.columns, y);
      pen.lineTo(x + column * width / layout.columns, y + height);
    }
    for (let line = 1; line < layout.rows; ++line) {
      pen.moveTo(x, y + line * height / layout.rows);
      pen.lineTo(x + width, y + line * height / layout.rows);
    }
    pen.strokeStyle = 'rgb(255 255 255 / 35%)';
    pen.lineWidth = 1;
    pen.stroke();
  }
  // The photo or the mask, dimmed outside of what the model saw, which is framed.
  function drawBackground(pen, image, inside) {
    const { width, height } = pen.canvas, { x, y, width: w, height: h } = seen();
    pen.imageSmoothingEnabled = image === photo;
    pen.drawImage(image, 0, 0, width, height);
    if (inside) inside(pen);
    pen.beginPath();
    pen.rect(0, 0, width, height);
    pen.rect(x, y, w, h);
    pen.fillStyle = 'rgb(10 8 16 / 55%)';
    pen.fill('evenodd');
    const line = Math.max(1.5, width / 400);
    frame(pen, 'rgb(255 255 255 / 90%)', line, [x + line / 2, y + line / 2, w - line, h - line]);
  }
  function draw() {
    drawBackground(stage.getContext('2d'), photo, (pen) => {
      const { x, y, width, height } = seen();
      pen.globalAlpha = element('opacity').value / 100;
      pen.globalCompositeOperation = 'saturation';  // the photo's own colours would mix in
      pen.fillStyle = '#808080';
      pen.fillRect(x, y, width, height);
      pen.globalCompositeOperation = 'source-over';
      pen.imageSmoothingEnabled = element('smooth').checked;
      pen.drawImage(heatCanvas, x, y, width, height);
      pen.globalAlpha = 1;
      if (element('grid').checked) drawGrid(pen);
    });
    const pen = stage.getContext('2d');
    if (state.hover !== null) frame(pen, 'rgb(255 255 255 / 85%)', 1.5, patchBox(state.hover));
    if (state.mode === 'attention' && state.token >= prefix) {
      frame(pen, '#000', 5, patchBox(state.token - prefix));
      frame(pen, '#5ff2ff', 2.5, patchBox(state.token - prefix));
    }
    if (mask) drawBackground(element('mask').getContext('2d'), mask, null);
  }

  function describeSums() {
    const line = element('sums');
    line.replaceChildren();
    const say = (text, strong) =>
        line.append(strong ? Object.assign(document.createElement('b'), { textContent: text }) : text);
    const total = map.reduce((sum, value) => sum + value, 0);
    if (data.mask && total > 0) {
      const covered = data.mask.coverage.reduce((sum, value) => sum + value, 0) / patches;
      const onObject = map.reduce((sum, value, i) => sum + value * data.mask.coverage[i], 0) / total;
      say(percent(onObject), true);
      say(` of the attention on patches falls on the object, which covers ${percent(covered)} of ` +
          `what the model saw`);
      say(covered > 0 ? `: ${(onObject / covered).toFixed(1)} times its share. ` : '. ');
    }
    if (prefix > 0)
      say(`Beside the patches, ` + layout.prefix.map((name, i) =>
          `${percent(shownRow[i])} goes to the ${name} token`).join(', ') + '.');
  }
  function readout() {
    const patch = state.hover;
    element('readout').textContent =
        patch === null ? '' : `${placeName(patch)}: ${percent(map[patch])}`;
  }
  function press(group, chosen) {
    for (const button of element(group).children)
      button.setAttribute('aria-pressed', String(button.dataset.value === String(chosen)));
  }

  function showHeads() {
    if (state.layer === null) return;
    const { heads } = layerTensors(state.layer), buttons = [...element('heads').children];
    const rows = Array.from({ length: heads }, (unused, head) => row(state.layer, head, state.token));
    const mean = rows[0].map((unused, i) => rows.reduce((sum, r) => sum + r[i], 0) / heads);
    [mean, ...rows].forEach((weights, i) => {
      const values = patchValues(weights);
      paint(buttons[i].querySelector('canvas'), values, rangeOf(values), 0);
    });
  }
  // Everything follows from the state.
  function update() {
    const byHead = state.mode === 'attention';
    shownRow = byHead ? row(state.layer, state.head, state.token) : rollout;
    map = patchValues(shownRow);
    range = rangeOf(map);
    paint(heatCanvas, map, range, data.transparency);
    element('legend-low').textContent = percent(range.low);
    element('legend-high').textContent = percent(range.high);
    const where = byHead
        ? `Layer ${state.layer}, ${state.head === 'mean' ? 'mean of heads' : `head ${state.head}`}: ` +
          `what ${tokenName(state.token)} attends to`
        : `Attention rollout through ${data.rollout.layers} layers, from ${data.rollout.source}`;
    element('caption').textContent = where;
    stage.setAttribute('aria-label', where);
    element('mode-rollout').setAttribute('aria-pressed', String(!byHead));
    element('mode-attention').setAttribute('aria-pressed', String(byHead));
    press('layers', byHead ? state.layer : '');
    press('heads', byHead ? state.head : '');
    press('tokens', byHead ? state.token : '');
    const patchChip = element('tokens').lastElementChild;
    patchChip.hidden = state.token < prefix;
    patchChip.textContent = `Patch ${placeName(Math.max(0, state.token - prefix))}`;
    if (state.token >= prefix) patchChip.setAttribute('aria-pressed', String(byHead));
    element('head-unit').textContent =
        state.layer === null ? '' : `of layer ${state.layer}, for ${tokenName(state.token)}`;
    showHeads();
    describeSums();
    readout();
    draw();
  }
  function choose(change) {
    if (state.layer === null) return;
    Object.assign(state, { mode: 'attention' }, change);
    update();
  }

  // ---- Controls ----

  function button(group, text, value, action) {
    const made = document.createElement('button');
    made.type = 'button';
    made.dataset.value = value;
    made.append(text);
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
    ['mean', ...Array(layerTensors(state.layer).heads).keys()].forEach((head) => {
      const made = button('heads', document.createElement('canvas'), head, () => choose({ head }));
      made.append(head === 'mean' ? 'mean' : String(head));
      made.setAttribute('aria-label', head === 'mean' ? 'Mean of all heads' : `Head ${head}`);
    });
  layout.prefix.forEach((name, token) =>
      button('tokens', `${name[0].toUpperCase()}${name.slice(1)} token`, token, () => choose({ token })));
  button('tokens', '', 'patch', () => choose({}));
  element('mode-rollout').addEventListener('click', () => { state.mode = 'rollout'; update(); });
  element('mode-attention').addEventListener('click', () => choose({}));
  element('mode-attention').disabled = state.layer === null;
  for (const id of ['opacity', 'smooth', 'grid']) element(id).addEventListener('input', draw);

  function patchAt(event) {
    const bounds = stage.getBoundingClientRect(), { x, y, width, height } = seen();
    const left = (event.clientX - bounds.left) / bounds.width * stage.width;
    const top = (event.clientY - bounds.top) / bounds.height * stage.height;
    const column = Math.floor((left - x) / width * layout.columns);
    const line = Math.floor((top - y) / height * layout.rows);
    const inside = column >= 0 && column < layout.columns && line >= 0 && line < layout.rows;
    return inside ? line * layout.columns + column : null;
  }
  function hover(patch) {
    if (patch === state.hover) return;
    state.hover = patch;
    readout();
    draw();
  }
  stage.addEventListener('mousemove', (event) => hover(patchAt(event)));
  stage.addEventListener('mouseleave', () => hover(null));
  stage.addEventListener('click', (event) => {
    const patch = patchAt(event);
    if (patch !== null) choose({ token: prefix + patch });
  });
  stage.addEventListener('keydown', (event) => {
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (!step) return;
    event.preventDefault();
    const from = Math.max(0, state.token - prefix);
    const clamp = (value, size) => Math.min(size - 1, Math.max(0, value));
    const line = clamp(Math.floor(from / layout.columns) + step[0], layout.rows);
    const column = clamp(from % layout.columns + step[1], layout.columns);
    choose({ token: prefix + line * layout.columns + column });
  });

  // ---- What never changes ----

  element('picture-name').textContent = data.picture;
  element('model-name').textContent = data.model;
  element('verdict').hidden = !data.verdict;
  element('verdict').textContent = data.verdict && `This shows ${data.verdict.replace('my', 'the model’s')}; the nearest are`;
  element('meaning').hidden = !data.meaning;
  element('meaning').textContent = data.meaning;
  for (const { label, index, probability, value, below } of data.predictions) {
    const line = document.createElement('div'), bar = document.createElement('div');
    line.className = 'prediction-line';
    bar.className = 'bar';
    const number = value === null ? percent(probability) : String(Number(value.toPrecision(6)));
    for (const text of [label ?? `class ${index}`, number])
      line.append(Object.assign(document.createElement('span'), { textContent: text }));
    bar.append(document.createElement('i'));
    bar.firstChild.style.width = `${100 * probability}%`;
    bar.hidden = value !== null;
    const item = document.createElement('li');
    if (below) item.className = 'below';
    item.append(line, bar);
    element('predictions').append(item);
  }
  element('prediction-card').hidden = data.predictions.length === 0;
  element('mask-figure').hidden = !mask;
  element('storage-note').textContent = attention.note;
  element('rollout-note').textContent = data.rollout.note;
  const first = attention.layers[0];
  if (first) element('scale-note').textContent = `Here d = ${first.dim}, scale = ${first.scale.toPrecision(4)}.`;
  const bar = element('legend-bar').getContext('2d');
  for (let x = 0; x < 256; ++x) {
    bar.fillStyle = `rgb(${heat(x / 255).map(Math.round).join(' ')})`;
    bar.fillRect(x, 0, 1, 1);
  }
  window.addEventListener('resize', resize);
  update();
  resize();
  document.body.dataset.ready = 'true';
})();
