// The photo of vitrail explain, its map of heat and the mask beside it, drawn on canvases.
function stageOf({ canvas, maskCanvas, photo, mask, box, layout }) {
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

  const seen = () => ({ x: box[0] * zoom, y: box[1] * zoom, width: (box[2] - box[0]) * zoom,
                        height: (box[3] - box[1]) * zoom });
  function patchBox(patch) {
    const { x, y, width, height } = seen();
    const w = width / layout.columns, h = height / layout.rows;
    return [x + (patch % layout.columns) * w, y + Math.floor(patch / layout.columns) * h, w, h];
  }
  // With an edge around it, so that it is seen on pale pictures and on dark ones.
  function frame(pen, colour, width, rectangle) {
    for (const [style, line] of [[colours['frame-edge'], 2 * width], [colour, width]]) {
      pen.strokeStyle = style;
      pen.lineWidth = line;
      pen.strokeRect(...rectangle);
    }
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
  // hover and chosen are patches, or null.
  function draw({ hover, chosen, opacity, smooth, grid }) {
    const pen = canvas.getContext('2d');
    drawBackground(pen, photo, () => {
      const { x, y, width, height } = seen();
      pen.globalAlpha = opacity;
      pen.globalCompositeOperation = 'saturation';  // the photo's own colours would mix in
      pen.fillStyle = colours['without-colour'];
      pen.fillRect(x, y, width, height);
      pen.globalCompositeOperation = 'source-over';
      pen.imageSmoothingEnabled = smooth;
      pen.drawImage(heatCanvas, x, y, width, height);
      pen.globalAlpha = 1;
      if (grid) drawGrid(pen);
    });
    if (hover !== null) frame(pen, colours.frame, 1.5, patchBox(hover));
    if (chosen !== null) frame(pen, colours.chosen, 2.5, patchBox(chosen));
    if (mask) drawBackground(maskCanvas.getContext('2d'), mask, null);
  }

  // The patch under the mouse or a finger; null outside of what the model saw.
  function patchAt(event) {
    const bounds = canvas.getBoundingClientRect(), { x, y, width, height } = seen();
    const left = (event.clientX - bounds.left) / bounds.width * canvas.width;
    const top = (event.clientY - bounds.top) / bounds.height * canvas.height;
    const column = Math.floor((left - x) / width * layout.columns);
    const line = Math.floor((top - y) / height * layout.rows);
    const inside = column >= 0 && column < layout.columns && line >= 0 && line < layout.rows;
    return inside ? line * layout.columns + column : null;
  }
  return { fit, draw, patchAt, heatCanvas };
}
