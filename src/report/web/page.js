// What every page begins with: the data that it carries, and how elements are found and made.
'use strict';
const page = (() => {
  const element = (id) => document.getElementById(id);
  function make(name, content, properties = {}) {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...(Array.isArray(content) ? content : [content ?? '']));
    return made;
  }
  const percent = (share) => share === null ? '–' : `${(100 * share).toFixed(1)}%`;
  // A colour of palette.css, for a canvas.
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  return { data: JSON.parse(element('data').textContent), element, make, percent, colour };
})();
