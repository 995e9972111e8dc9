// The timeline of a whole clip: a lane each for the verdict, the face and the voice; it is also its slider.
import { inkOn, seconds } from "./common.js";

const SVG = "http://www.w3.org/2000/svg";
const LANES = [["verdict", "label", 26], ["face", "face", 12], ["voice", "voice", 12]];
const [LEFT, RIGHT, GAP, AXIS] = [58, 10, 7, 22];

function draw(parent, name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  parent.append(made);
  return made;
}

export class Timeline {
  constructor(parent, colours, onSeek) {
    this.parent = parent;
    this.colours = colours;
    this.onSeek = onSeek;
    this.answer = null;
    new ResizeObserver(() => this.draw()).observe(parent);
    parent.addEventListener("pointerdown", (event) => {
      parent.setPointerCapture(event.pointerId);
      this.seek(event);
    });
    parent.addEventListener("pointermove", (event) => event.buttons && this.seek(event));
    parent.addEventListener("keydown", (event) => this.key(event));
  }

  show(answer) {
    this.answer = answer;
    this.parent.setAttribute("aria-valuemax", answer.duration_s);
    this.draw();
    this.at(0);
  }

  /** Draw the lanes to the width that there is. */
  draw() {
    const width = this.parent.clientWidth;
    if (!this.answer || !width) return;
    this.parent.replaceChildren();
    const height = LANES.reduce((sum, lane) => sum + lane[2] + GAP, AXIS);
    const svg = draw(this.parent, "svg", { viewBox: `0 0 ${width} ${height}`, height, "aria-hidden": true });
    this.x = (time_s) => LEFT + ((width - LEFT - RIGHT) * time_s) / this.answer.duration_s;
    let top = 0;
    for (const [name, key, thick] of LANES) {
      draw(svg, "text", { x: 0, y: top + thick / 2 + 4 }, name);
      draw(svg, "rect", { x: LEFT, y: top, width: width - LEFT - RIGHT, height: thick, rx: 3, class: "rail" });
      for (const run of this.runs(key)) this.run(svg, run, top, thick);
      top += thick + GAP;
    }
    this.axis(svg, top, width);
    this.head = draw(svg, "g", {});
    draw(this.head, "line", { x1: 0, x2: 0, y1: 0, y2: top, class: "head" });
    draw(this.head, "circle", { cx: 0, cy: top, r: 5, class: "knob" });
    this.at(this.time_s || 0);
  }

  /** Join stretches with the same label. */
  runs(key) {
    const runs = [];
    for (const stretch of this.answer.timeline) {
      const last = runs.at(-1);
      if (last && last.label === stretch[key]) last.end_s = stretch.end_s;
      else runs.push({ label: stretch[key], start_s: stretch.start_s, end_s: stretch.end_s });
    }
    return runs.filter((run) => run.label !== null);
  }

  run(svg, { label, start_s, end_s }, top, thick) {
    const [x, colour] = [this.x(start_s), this.colours[label]];
    const width = Math.max(1, this.x(end_s) - x);
    const rect = draw(svg, "rect", { x, y: top, width, height: thick, fill: colour });
    draw(rect, "title", {}, `${label}, ${start_s.toFixed(1)} to ${seconds(end_s)}`);
    if (thick > 20 && width > 8 * label.length + 10) {
      const name = draw(svg, "text", { x: x + 7, y: top + thick / 2 + 4, class: "inside" }, label);
      name.style.fill = inkOn(colour);
    }
  }

  axis(svg, top, width) {
    const total = this.answer.duration_s;
    const most = Math.max(2, (width - LEFT) / 70);
    const step = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30].find((one) => total / one <= most) || 60;
    for (let k = 0; k * step <= total + 1e-9; k++) {
      const x = this.x(k * step);
      draw(svg, "line", { x1: x, x2: x, y1: top, y2: top + 5, class: "tick" });
      const anchor = x > width - 24 ? "end" : "middle";
      draw(svg, "text", { x: anchor === "end" ? width : x, y: top + 18, "text-anchor": anchor }, `${+(k * step).toFixed(1)} s`);
    }
  }

  /** Return the stretch of a time; the first before it. */
  stretch(time_s) {
    const all = this.answer.timeline;
    let [low, high] = [0, all.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (all[middle].start_s <= time_s + 1e-3) low = middle;
      else high = middle - 1;
    }
    return all[low];
  }

  /** Move the playing head. */
  at(time_s) {
    this.time_s = Math.min(time_s, this.answer.duration_s);
    if (this.head) this.head.setAttribute("transform", `translate(${this.x(this.time_s)} 0)`);
    const now = this.stretch(time_s);
    this.parent.setAttribute("aria-valuenow", this.time_s.toFixed(2));
    this.parent.setAttribute("aria-valuetext", `${seconds(this.time_s)}: ${now?.label || "no verdict"}`);
  }

  seek(event) {
    const { left, width } = this.parent.getBoundingClientRect();
    const share = (event.clientX - left - LEFT) / (width - LEFT - RIGHT);
    this.onSeek(Math.max(0, Math.min(1, share)) * this.answer.duration_s);
  }

  key(event) {
    const total = this.answer.duration_s;
    const step = event.shiftKey ? 1 : 0.2;
    const to = { ArrowRight: this.time_s + step, ArrowUp: this.time_s + step, ArrowLeft: this.time_s - step,
      ArrowDown: this.time_s - step, Home: 0, End: total }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    this.onSeek(Math.max(0, Math.min(total, to)));
  }
}
