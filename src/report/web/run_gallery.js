// Pictures of a run's page: each as the model saw it; its heat comes when it is asked for.
const gallery = (() => {
  const { data, element, make } = page;
  const kNames = { rollout: 'all layers', last: 'the last layer' };

  // A picture of few pixels keeps its edges when it is enlarged.
  function picture(source, alt, stack) {
    const image = make('img', '', { src: source, alt });
    image.addEventListener('load', () => { if (image.naturalWidth <= 64) stack.classList.add('pixels'); });
    stack.append(image);
    return stack;
  }
  const stackOf = () => make('div', [], { className: 'stack' });

  // A class and its probability, which may be unknown.
  const line = (what, name, probability) => make('span', [
    make('span', [make('span', `${what} `, { className: 'muted' }), make('b', name)]),
    make('span', probability === null ? '–' : maps.percent(probability))], { className: `class ${what}` });

  function captionOf(item, button) {
    const caption = make('figcaption', []);
    if (data.gallery_of_mistakes)
      caption.append(line('answer', item.answer, item.answer_probability),
                     line('truth', item.label, item.label_probability));
    else
      caption.append(make('span', item.label));
    caption.append(make('span', [make('span', item.id, { className: 'muted' }), button], { className: 'foot' }));
    return caption;
  }

  function viewOf(item) {
    const values = Object.fromEntries(Object.keys(kNames).map((kind) => [kind, item[kind] === null
        ? null : Array.from(maps.decodeFloats(item[kind], data.alphabet)).slice(0, item.rows * item.columns)]));
    const canvas = make('canvas', '', { hidden: true });
    canvas.setAttribute('role', 'img');
    const alt = !item.label ? item.id
        : data.gallery_of_mistakes ? `${item.id}: ${item.label}, taken for ${item.answer}` : `${item.id}: ${item.label}`;
    const stack = picture(item.source, alt, stackOf());
    stack.append(canvas);
    const button = make('button', 'Heat', { type: 'button', className: 'heat-button', hidden: values.rollout === null });
    button.setAttribute('aria-label', `Heat over ${item.id}`);
    element('gallery').append(make('figure', [stack, captionOf(item, button)]));

    const view = { on: false, peek: false, show, report: () => ({ id: item.id, ...values, mapped: !canvas.hidden }) };
    function show() {
      const map = view.on || view.peek ? values[kind] : null;
      canvas.hidden = map === null;
      stack.classList.toggle('mapped', map !== null);
      button.setAttribute('aria-pressed', String(view.on));
      if (map === null) return;
      maps.paint(canvas, item, map, maps.rangeOf(map), { steps: data.heat, transparency: data.transparency });
      canvas.style.opacity = element('opacity').value / 100;
      canvas.setAttribute('aria-label', `Heat of ${kNames[kind]} over ${item.id}, strongest on ${maps.strongest(item, map)}`);
    }
    function change(to) {
      Object.assign(view, to);
      show();
      pressed();
    }
    if (values.rollout === null) return view;
    stack.classList.add('has-heat');
    for (const each of [stack, button]) each.addEventListener('click', () => change({ on: !view.on, peek: false }));
    // The mouse shows the heat for as long as it stays; a finger presses.
    stack.addEventListener('pointerenter', (event) => { if (event.pointerType === 'mouse') change({ peek: true }); });
    stack.addEventListener('pointerleave', () => change({ peek: false }));
    return view;
  }

  let kind = 'rollout', views = [];
  // Which button for all of them says what is seen; none where pictures differ.
  function pressed() {
    const all = views.every(({ on }) => on), none = views.every(({ on }) => !on);
    for (const button of document.querySelectorAll('[data-map]'))
      button.setAttribute('aria-pressed', String(button.dataset.map === 'none' ? none : all && button.dataset.map === kind));
  }
  function showAll(chosen) {
    if (chosen !== 'none') kind = chosen;
    for (const view of views) {
      view.on = chosen !== 'none';
      view.show();
    }
    pressed();
  }

  function draw() {
    views = data.gallery.map(viewOf);
    for (const button of document.querySelectorAll('[data-map]'))
      button.addEventListener('click', () => showAll(button.dataset.map));
    element('opacity').addEventListener('input', () => views.forEach(({ show }) => show()));
    element('pictures').hidden = views.length === 0;
    const mistakes = data.gallery_of_mistakes;
    element('pictures-title').textContent = mistakes ? 'The worst mistakes' : 'Where attention goes';
    element('pictures-lead').textContent = mistakes
        ? 'The pictures whose true class got the lowest probability: what the model answered, and what is true.'
        : 'Pictures that the model did not learn from. The heat shows which patches its features are gathered from.';
    const heat = views.some((view) => view.report().rollout !== null);
    for (const id of ['map-toolbar', 'map-hint', 'map-note']) element(id).hidden = !heat;
    // Of a mistake the picture comes first; where nothing is asked, attention is what there is to see.
    showAll(mistakes || !heat ? 'none' : 'rollout');

    for (const { source, label } of data.samples)
      element('sample-grid').append(make('figure', [picture(source, `training picture: ${label}`, stackOf()),
                                                    make('figcaption', label)]));
    element('samples').hidden = data.samples.length === 0;
    return views;
  }
  return { draw };
})();
