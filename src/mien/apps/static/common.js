// What clip and camera share: requests, the colours of emotions, bars of probabilities.

export const element = (id) => document.getElementById(id);

/** Ask the server; its refusals are errors whose message is its sentence. */
export async function ask(address, options = {}) {
  let response;
  try {
    response = await fetch(address, options);
  } catch {
    throw new Error("The server does not answer; is `mien serve` still running?");
  }
  if (!response.ok) throw await refusal(response.status, response.json());
  return response.status === 204 ? null : response.json();
}

export async function refusal(status, body) {
  const { detail } = await Promise.resolve(body).catch(() => ({}));
  const text = Array.isArray(detail) ? `${detail[0].loc.at(-1)}: ${detail[0].msg}` : detail;
  return new Error(sentence(text || `The server answered ${status}.`));
}

export const sentence = (text) => text.replace(/([^.!?])$/, "$1.");
export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
export const seconds = (value) => `${value.toFixed(1)} s`;

/** Whether dark or light letters are read better on a colour #rrggbb (WCAG relative luminance). */
export function inkOn(colour) {
  const [r, g, b] = [1, 3, 5].map((at) => {
    const share = parseInt(colour.slice(at, at + 2), 16) / 255;
    return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000000" : "#ffffff";
}

export function make(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  Object.assign(made, attributes);
  made.append(...children);
  return made;
}

function rows(parent, names) {
  return names.map((name) => {
    const fill = make("div", { className: "fill" });
    const value = make("span", { className: "value" });
    const label = make("span", { className: "name", textContent: name });
    const row = make("div", { className: "bar" }, label, make("div", { className: "rail" }, fill), value);
    parent.append(row);
    return { row, fill, value };
  });
}

/** A bar per class; show(null) where nothing is judged. */
export class Bars {
  constructor(parent, classes) {
    this.rows = rows(parent, classes.map(({ name }) => name));
    this.rows.forEach(({ fill }, k) => (fill.style.background = classes[k].colour));
    this.show(null);
  }

  show(probabilities) {
    const best = probabilities ? probabilities.indexOf(Math.max(...probabilities)) : -1;
    this.rows.forEach(({ row, fill, value }, k) => {
      const share = probabilities ? probabilities[k] : 0;
      fill.style.width = `${100 * share}%`;
      value.textContent = probabilities ? `${Math.round(100 * share)}%` : "–";
      row.classList.toggle("best", k === best);
    });
  }
}

/** A bar per action unit, from the middle: -1..1. */
export class UnitBars {
  constructor(parent, names) {
    this.rows = rows(parent, names);
  }

  show(units) {
    this.rows.forEach(({ fill, value }, k) => {
      const share = units ? Math.max(-1, Math.min(1, units[k])) : 0;
      fill.style.left = `${50 + 50 * Math.min(0, share)}%`;
      fill.style.width = `${50 * Math.abs(share)}%`;
      value.textContent = units ? units[k].toFixed(2) : "–";
    });
  }
}

/** What is said as large as a verdict: what it is not, and who gave it. */
export const cautionOf = ({ judged_by }) =>
  `What an actor would be playing, not what somebody feels. ${sentence(judged_by)}`;

export const dot = (colour) => {
  const made = make("span", { className: "dot" });
  made.style.background = colour;
  return made;
};

export function basisOf({ basis, faces, heard }) {
  if (basis.length) return `by ${basis.map((part) => `the ${part}`).join(" and ")}${basis.length === 1 ? " alone" : ""}`;
  if (faces) return "a face, not judged yet";
  return heard ? "no face, a voice not judged yet" : "no face, no voice";
}
