// The attention that a page of vitrail explain carries. Every row is computed here, as
// exp(scale * q.k + terms - lse), from the queries, keys and log-sum-exp in its data, and from what
// the model adds to its scores.
function attentionOf({ attention, layout, stages, alphabet }) {
  const decodeFloats = (text) => maps.decodeFloats(text, alphabet);
  const decodeIntegers = (text) => new Int32Array(maps.decodeWords(text, alphabet).buffer);
  function floatOfHalf(bits) {
    const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
    if (exponent === 31) return fraction ? NaN : sign * Infinity;
    return exponent === 0 ? sign * fraction * 2 ** -24
                          : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  }
  function decodeNumbers(text, count) {
    if (attention.precision === 'f32') return decodeFloats(text).subarray(0, count);
    const halves = new Uint16Array(maps.decodeWords(text, alphabet).buffer);
    return Float32Array.from({ length: count }, (unused, i) => floatOfHalf(halves[i]));
  }

  // Grids are {prefix (how many), rows, columns, box}. A layer's keys may lie on one of their own.
  const gridOf = ({ prefix, rows, columns, box }) => ({ prefix: prefix.length, rows, columns, box });
  const layerNamed = (index) => attention.layers.find((candidate) => candidate.index === index);
  function queryGrid(index) {
    const { queries, stage } = layerNamed(index), tokens = gridOf(stages[stage] ?? layout);
    return queries ? { ...queries, box: tokens.box } : tokens;
  }
  function keyGrid(index) {
    const { keys } = layerNamed(index), queries = queryGrid(index);
    return keys ? { ...keys, box: queries.box } : queries;
  }
  const tokensOf = ({ prefix, rows, columns }) => prefix + rows * columns;

  // Tokens as they are stored: the prefix, then patches, or cells of cell x cell patches.
  const { cell } = attention;
  const cellColumns = (grid) => Math.ceil(grid.columns / cell);
  const cellOfPatch = (grid, patch) =>
      Math.floor(Math.floor(patch / grid.columns) / cell) * cellColumns(grid) +
      Math.floor((patch % grid.columns) / cell);
  const storedToken = (grid, token) =>
      token < grid.prefix ? token : grid.prefix + cellOfPatch(grid, token - grid.prefix);
  // How many tokens stand behind each stored one.
  function storedSizes(grid) {
    const sizes = new Float64Array(grid.prefix + Math.ceil(grid.rows / cell) * cellColumns(grid));
    for (let token = 0; token < tokensOf(grid); ++token) ++sizes[storedToken(grid, token)];
    return sizes;
  }

  // What is added to the score of a query and a key, by terms (src/explain/layer_attention.h).
  const kTables = ['table', 'rows', 'columns', 'slopes', 'query_places', 'key_places', 'dense', 'by_key'];
  const kNumbers = ['query_window', 'query_place', 'query_group', 'key_window', 'key_place', 'key_group',
                    'index', 'query_entry', 'key_entry'];
  function termsOf({ terms, heads, dim }, queries, keys) {
    if (!terms) return { sees: () => true, added: () => 0 };
    const t = { ...terms };
    for (const name of kTables) if (terms[name]) t[name] = decodeFloats(terms[name]);
    for (const name of kNumbers) if (terms[name]) t[name] = decodeIntegers(terms[name]);
    const place = (places, token) => places ? places[token] : token;
    const dot = (q, first, table, row) => {
      let sum = 0;
      for (let i = 0; i < dim; ++i) sum += q[first + i] * table[row * dim + i];
      return sum;
    };
    function entryOf(i, j) {
      if (t.index) return t.index[i * t.entries + j];
      const [toToken, toPrefix, within] = t.prefix_entries;
      if (i < t.prefix) return j < t.prefix ? within : toToken;
      return j < t.prefix ? toPrefix : t.query_entry[i] - t.key_entry[j];
    }
    function added(head, query, key, q, first) {
      const i = place(t.query_place, query), j = place(t.key_place, key);
      let sum = 0;
      if (t.table) {
        const entry = entryOf(i, j);
        if (entry >= 0) sum += t.table[entry * heads + head];
      }
      if (t.rows) {
        const w = t.width;
        sum += dot(q, first, t.rows, Math.floor(i / w) - Math.floor(j / w) + t.height - 1) +
               dot(q, first, t.columns, i % w - j % w + w - 1);
      }
      if (t.slopes && i >= t.distance_prefix && j >= t.distance_prefix)
        sum -= t.slopes[head] * Math.hypot(t.query_places[2 * i] - t.key_places[2 * j],
                                           t.query_places[2 * i + 1] - t.key_places[2 * j + 1]);
      if (t.dense) sum += t.dense[((t.dense_heads === 1 ? 0 : head) * queries + query) * keys + key];
      if (t.by_key) sum += t.by_key[(t.by_key_heads === 1 ? 0 : head) * keys + key];
      if (t.query_group && t.query_group[query] !== t.key_group[key]) sum += t.penalty ?? -Infinity;
      return sum;
    }
    return { sees: (query, key) => !t.query_window || t.query_window[query] === t.key_window[key], added };
  }

  // Heads that are mixed (src/kernels/attention_mixing.h): their scores before softmax, their weights
  // after it, and a norm over the heads.
  function mixingOf({ mixing }) {
    return mixing && Object.fromEntries(Object.entries(mixing).map(
        ([name, value]) => [name, typeof value === 'string' ? decodeFloats(value) : value]));
  }
  function mix(matrix, bias, rows) {
    if (!matrix) return rows;
    const heads = rows.length;
    return rows.map((unused, g) => rows[0].map((none, key) => {
      let sum = bias ? bias[g] : 0;
      for (let h = 0; h < heads; ++h) sum += matrix[g * heads + h] * rows[h][key];
      return sum;
    }));
  }
  function softmax(row) {
    const largest = row.reduce((most, score) => Math.max(most, score), -Infinity);
    const powers = row.map((score) => Math.exp(score - largest));
    const total = powers.reduce((sum, power) => sum + power, 0);
    return powers.map((power) => power / total);
  }
  function normalised({ norm_weight: weight, norm_bias: bias, norm_epsilon: epsilon }, rows) {
    if (!weight) return rows;
    const heads = rows.length, out = rows.map((row) => row.slice());
    for (let key = 0; key < rows[0].length; ++key) {
      const mean = rows.reduce((sum, row) => sum + row[key], 0) / heads;
      const variance = rows.reduce((sum, row) => sum + (row[key] - mean) ** 2, 0) / heads;
      const factor = 1 / Math.sqrt(variance + epsilon);
      for (let h = 0; h < heads; ++h) out[h][key] = (rows[h][key] - mean) * factor * weight[h] + bias[h];
    }
    return out;
  }
  // The rows of all heads for a query.
  function mixedRows({ heads, dim, scale, q, k, queries, keys, mixing }, query) {
    const scores = Array.from({ length: heads }, (unused, h) => Array.from({ length: keys }, (none, key) => {
      let dot = 0;
      for (let i = 0; i < dim; ++i) dot += q[(h * queries + query) * dim + i] * k[(h * keys + key) * dim + i];
      return scale * dot;
    }));
    const weights = mix(mixing.before, mixing.before_bias, scores).map(softmax);
    return normalised(mixing, mix(mixing.after, mixing.after_bias, weights));
  }

  const decoded = new Map();
  function layerTensors(index) {
    const layer = layerNamed(index);
    if (!layer) throw new RangeError(`the page does not hold layer ${index}`);
    if (!decoded.has(index)) {
      const queries = storedSizes(queryGrid(index)).length, sizes = storedSizes(keyGrid(index));
      const keys = sizes.length, values = layer.heads * layer.dim;
      decoded.set(index, { ...layer, queries, keys, sizes, ...termsOf(layer, queries, keys),
                           q: decodeNumbers(layer.q, queries * values),
                           k: decodeNumbers(layer.k, keys * values), mixing: mixingOf(layer),
                           lse: layer.lse && decodeFloats(layer.lse) });
    }
    return decoded.get(index);
  }

  // What `token` attends to in a head ('mean': over all heads), a weight for each stored key.
  function row(layerIndex, head, token) {
    const layer = layerTensors(layerIndex);
    if (layer.mixing) {
      const rows = mixedRows(layer, token), { heads } = layer;
      if (head !== 'mean') return rows[head];
      return rows[0].map((unused, key) => rows.reduce((sum, row) => sum + row[key], 0) / heads);
    }
    const { dim, q, k, queries, keys, sizes, sees, added } = layer;
    if (head === 'mean') {
      const sum = new Float64Array(keys);
      for (let h = 0; h < layer.heads; ++h)
        row(layerIndex, h, token).forEach((weight, i) => { sum[i] += weight / layer.heads; });
      return Array.from(sum);
    }
    const query = storedToken(queryGrid(layerIndex), token), first = (head * queries + query) * dim;
    const lse = layer.lse[head * queries + query], weights = new Array(keys).fill(0);
    for (let key = 0; key < keys; ++key) {
      if (!sees(query, key)) continue;
      const at = (head * keys + key) * dim;
      let dot = 0;
      for (let i = 0; i < dim; ++i) dot += q[first + i] * k[at + i];
      weights[key] = sizes[key] * Math.exp(layer.scale * dot + added(head, query, key, q, first) - lse);
    }
    return weights;
  }

  // A row as values of single patches of a grid; the rollout always has them all.
  function patchValues(weights, grid) {
    const exact = weights.length === tokensOf(grid), sizes = exact ? null : storedSizes(grid);
    return Array.from({ length: grid.rows * grid.columns }, (unused, patch) => {
      const token = grid.prefix + (exact ? patch : cellOfPatch(grid, patch));
      return exact ? weights[token] : weights[token] / sizes[token];
    });
  }
  return { row, patchValues, queryGrid, keyGrid, wholeGrid: gridOf(layout),
           headsOf: (layer) => layerTensors(layer).heads, isPadded: (layer) => Boolean(layerNamed(layer).padded),
           stageOfLayer: (layer) => attention.stages[layer] };
}
