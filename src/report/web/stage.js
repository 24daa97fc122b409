// The photo of vitrail explain, its map of heat and the mask beside it, drawn on canvases. `box` is
// what the model saw. Grids, {rows, columns, box}, come with each call: those of later stages may
// reach beyond it.
function stageOf({ canvas, maskCanvas, photo, mask, box }) {
  const heatCanvas = document.createElement('canvas');
  const colours = Object.fromEntries(['veil', 'frame', 'frame-edge', 'patch-grid', 'chosen', 'without-colour']
      .map((name) => [name, page.colour(name)]));
  let zoom = 1;  // canvas pixels for a pixel of the photo

  function fit() {
    const figures = canvas.closest('.figures');
    const shares = mask && window.innerWidth > 560 ? 2 : 1;
    const width = Math.min((figures.clientWidth - 14 * (shares - 1)) / shares, 860);
    const height = Math.max(260, window.innerHeight * 0.68);
    const scale = Math.min(width / photo.naturalWidth, height / photo.naturalHeight);
    const ratio = window.devicePixelRatio || 1;
    for (const each of mask ? [canvas, maskCanvas] : [canvas]) {
      each.closest('figure').style.width = each.style.width = `${Math.round(photo.naturalWidth * scale)}px`;
      each.style.height = `${Math.round(photo.naturalHeight * scale)}px`;
      each.width = Math.round(photo.naturalWidth * scale * ratio);
      each.height = Math.round(photo.naturalHeight * scale * ratio);
    }
    zoom = canvas.width / photo.naturalWidth;
  }

  const placed = ([x0, y0, x1, y1]) => ({ x: x0 * zoom, y: y0 * zoom, width: (x1 - x0) * zoom,
                                          height: (y1 - y0) * zoom });
  const seen = () => placed(box);
  function patchBox({ rows, columns, box: of }, patch) {
    const { x, y, width, height } = placed(of);
    const w = width / columns, h = height / rows;
    return [x + (patch % columns) * w, y + Math.floor(patch / columns) * h, w, h];
  }
  // With an edge around it, so that it is seen on pale pictures and on dark ones.
  function frame(pen, colour, width, rectangle) {
    for (const [style, line] of [[colours['frame-edge'], 2 * width], [colour, width]]) {
      pen.strokeStyle = style;
      pen.lineWidth = line;
      pen.strokeRect(...rectangle);
    }
  }
  function drawGrid(pen, { rows, columns, box: of }) {
    const { x, y, width, height } = placed(of);
    pen.beginPath();
    for (let column = 1; column < columns; ++column) {
      pen.moveTo(x + column * width / columns, y);
      pen.lineTo(x + column * width / columns, y + height);
    }
    for (let line = 1; line < rows; ++line) {
      pen.moveTo(x, y + line * height / rows);
      pen.lineTo(x + width, y + line * height / rows);
    }
    pen.strokeStyle = colours['patch-grid'];
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
    pen.fillStyle = colours.veil;
    pen.fill('evenodd');
    const line = Math.max(1.5, width / 400);
    frame(pen, colours.frame, line, [x + line, y + line, w - 2 * line, h - 2 * line]);
  }
  // hover, a patch of the map's grid, and chosen, one of the queries' grid, may be null.
  function draw({ hover, chosen, keys, queries, opacity, smooth, grid }) {
    const pen = canvas.getContext('2d');
    drawBackground(pen, photo, () => {
      const inside = seen(), { x, y, width, height } = placed(keys.box);
      pen.save();
      pen.beginPath();
      pen.rect(inside.x, inside.y, inside.width, inside.height);
      pen.clip();
      pen.globalAlpha = opacity;
      pen.globalCompositeOperation = 'saturation';  // the photo's own colours would mix in
      pen.fillStyle = colours['without-colour'];
      pen.fillRect(x, y, width, height);
      pen.globalCompositeOperation = 'source-over';
      pen.imageSmoothingEnabled = smooth;
      pen.drawImage(heatCanvas, x, y, width, height);
      pen.globalAlpha = 1;
      if (grid) drawGrid(pen, keys);
      pen.restore();
    });
    if (hover !== null) frame(pen, colours.frame, 1.5, patchBox(keys, hover));
    if (chosen !== null) frame(pen, colours.chosen, 2.5, patchBox(queries, chosen));
    if (mask) drawBackground(maskCanvas.getContext('2d'), mask, null);
  }

  // The patch of a grid under the mouse or a finger; null outside of what the model saw.
  function patchAt(event, { rows, columns, box: of }) {
    const bounds = canvas.getBoundingClientRect(), inside = seen(), { x, y, width, height } = placed(of);
    const left = (event.clientX - bounds.left) / bounds.width * canvas.width;
    const top = (event.clientY - bounds.top) / bounds.height * canvas.height;
    if (left < inside.x || top < inside.y || left >= inside.x + inside.width ||
        top >= inside.y + inside.height) return null;
    const column = Math.floor((left - x) / width * columns);
    const line = Math.floor((top - y) / height * rows);
    return column < columns && line < rows ? line * columns + column : null;
  }
  return { fit, draw, patchAt, heatCanvas };
}
