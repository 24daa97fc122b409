// The attention that a page of vitrail explain carries. Every row is computed here, as
// exp(scale * q.k - lse), from the queries, keys and log-sum-exp in its data.
function attentionOf({ attention, layout, alphabet }) {
  const prefix = layout.prefix.length;
  const patches = layout.rows * layout.columns;
  const decodeFloats = (text) => maps.decodeFloats(text, alphabet);
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

  // A row as values of single patches; the rollout always has them all.
  function patchValues(weights) {
    const exact = weights.length === prefix + patches;
    return Array.from({ length: patches }, (unused, patch) => {
      const token = exact ? prefix + patch : prefix + cellOfPatch(patch);
      return exact ? weights[token] : weights[token] / tokenSize[token];
    });
  }
  return { row, patchValues, headsOf: (layer) => layerTensors(layer).heads };
}
