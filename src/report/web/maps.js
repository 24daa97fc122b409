// Maps over patches, for every page that shows some: their numbers, colours and drawing.
const maps = (() => {
  // Base 85 over printable characters: five characters hold a 32-bit word, little-endian.
  function decodeWords(text, alphabet) {
    const digits = new Uint8Array(128);
    [...alphabet].forEach((character, value) => { digits[character.charCodeAt(0)] = value; });
    const words = new Uint32Array(text.length / 5);
    for (let i = 0, at = 0; i < words.length; ++i) {
      let word = 0;
      for (let digit = 0; digit < 5; ++digit) word = word * 85 + digits[text.charCodeAt(at++)];
      words[i] = word;
    }
    return words;
  }
  const decodeFloats = (text, alphabet) => new Float32Array(decodeWords(text, alphabet).buffer);

  // From the smallest value to the 99th percentile, so that one outlying patch hides nothing.
  function rangeOf(values) {
    const sorted = [...values].sort((a, b) => a - b), last = sorted.length - 1;
    const low = sorted[0], high = sorted[Math.floor(0.99 * last)];
    return { low, high: high > low ? high : sorted[last] };
  }
  // t in [0, 1] between the colours `steps`.
  function heat(steps, t) {
    const place = Math.min(1, Math.max(0, t)) * (steps.length - 1);
    const below = Math.min(Math.floor(place), steps.length - 2);
    return steps[below].map((c, i) => c + (place - below) * (steps[below + 1][i] - c));
  }
  // A canvas with one pixel a patch. The lighter a colour, the more of the photo shines through it:
  // what is attended to stays visible, and the rest grows dark.
  function paint(canvas, { rows, columns }, values, { low, high }, { steps, transparency }) {
    canvas.width = columns;
    canvas.height = rows;
    const pixels = new ImageData(columns, rows);
    values.forEach((value, i) => {
      const t = high > low ? Math.min(1, (value - low) / (high - low)) : 0;
      pixels.data.set([...heat(steps, t), 255 * (1 - transparency * t)], 4 * i);
    });
    canvas.getContext('2d').putImageData(pixels, 0, 0);
    return canvas;
  }
  function percent(share) {
    const value = 100 * share;
    return `${value === 0 ? '0' : value < 0.001 ? '< 0.001'
        : value >= 99.95 ? value.toFixed(0) : value.toPrecision(value < 10 ? 2 : 3)}%`;
  }
  const placeOf = ({ columns }, patch) =>
      `row ${Math.floor(patch / columns) + 1}, column ${patch % columns + 1}`;
  // In words where a map is strongest: what a reader sees at once, and a screen reader says.
  function strongest(layout, values) {
    const patch = values.indexOf(values.reduce((most, value) => Math.max(most, value), -Infinity));
    return `the patch in ${placeOf(layout, patch)} (${percent(values[patch])})`;
  }
  return { placeOf, strongest, decodeWords, decodeFloats, rangeOf, heat, paint, percent };
})();
