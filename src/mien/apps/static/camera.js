// The camera: pictures and sound go to the server at most ten times a second, and its answer is drawn over the preview.
import { Bars, UnitBars, ask, basisOf, capital, cautionOf, element, inkOn } from "./common.js";
import { Microphone } from "./microphone.js";

const LONGEST_SIDE = 640; // px of the pictures that are sent
const QUALITY = 0.8;
const SHOWN_S = 10;

export class Camera {
  constructor(settings, complain) {
    this.settings = settings;
    this.complain = complain;
    this.colours = Object.fromEntries(settings.classes.map(({ name, colour }) => [name, colour]));
    this.bars = new Bars(element("live-bars"), settings.classes);
    this.units = new UnitBars(element("live-units"), settings.units);
    element("live-caution").textContent = cautionOf(settings);
    this.eye = element("eye");
    this.canvas = document.createElement("canvas");
    this.past = [];
    this.run = null;
    element("start").addEventListener("click", () => this.start());
    element("stop").addEventListener("click", () => this.stop());
    addEventListener("pagehide", () => this.stop());
    new ResizeObserver(() => this.fit()).observe(element("preview"));
    this.show(null);
  }

  async start() {
    this.complain("");
    element("start").disabled = true;
    const run = (this.run = { id: null, stream: null, microphone: null, n: 0 });
    try {
      run.stream = await this.open(element("mic").checked);
      if (this.run !== run) return void close(run);
      this.eye.srcObject = run.stream;
      await this.eye.play();
      element("preview").style.aspectRatio = `${this.eye.videoWidth} / ${this.eye.videoHeight}`;
      const units = element("live-units-wanted").checked;
      run.id = (await ask(`/api/cameras?units=${units}`, { method: "POST" })).id;
      if (this.run !== run) return void close(run);
      if (run.stream.getAudioTracks().length) {
        run.microphone = new Microphone(this.settings.sound_s);
        await run.microphone.open(run.stream);
        run.microphone.drain();
      }
      run.start = performance.now();
      this.past = [];
      element("live-units").hidden = !units;
      element("idle").hidden = true;
      element("stop").disabled = false;
      this.fit();
      while (this.run === run) await this.look(run);
    } catch (error) {
      close(run);
      if (this.run !== run) return;
      this.stop();
      this.complain(explain(error));
    }
  }

  /** Open camera and microphone; without the latter if there is none. */
  async open(sound) {
    if (!navigator.mediaDevices) throw new Error("This browser gives no camera to this page; open it at 127.0.0.1.");
    const video = { width: { ideal: 640 }, height: { ideal: 480 }, facingMode: "user" };
    try {
      return await navigator.mediaDevices.getUserMedia({ video, audio: sound });
    } catch (error) {
      if (!sound || !["NotFoundError", "OverconstrainedError"].includes(error.name)) throw error;
      return navigator.mediaDevices.getUserMedia({ video });
    }
  }

  /** Send a picture and the sound since the last one, show the answer, and wait until the next one is due. */
  async look(run) {
    const began = performance.now();
    const jpeg = await this.picture();
    if (this.run !== run) return;
    if (jpeg) {
      const time_s = (performance.now() - run.start) / 1000;
      const sound = run.microphone?.drain() || [];
      const sound_bytes = sound.reduce((sum, block) => sum + block.byteLength, 0);
      const query = new URLSearchParams({ time_s: time_s.toFixed(3), sound_bytes, sound_hz: run.microphone?.rate || 48000 });
      const body = new Blob([...sound, jpeg]);
      const moment = await ask(`/api/cameras/${run.id}/moments?${query}`, { method: "POST", body });
      if (this.run === run) this.show(moment);
    }
    const spent = performance.now() - began;
    await new Promise((resolve) => setTimeout(resolve, Math.max(5, 1000 / this.settings.pictures_per_s - spent)));
  }

  picture() {
    const { videoWidth, videoHeight } = this.eye;
    if (!videoWidth) return null;
    const scale = Math.min(1, LONGEST_SIDE / Math.max(videoWidth, videoHeight));
    [this.canvas.width, this.canvas.height] = [Math.round(videoWidth * scale), Math.round(videoHeight * scale)];
    this.canvas.getContext("2d").drawImage(this.eye, 0, 0, this.canvas.width, this.canvas.height);
    return new Promise((resolve) => this.canvas.toBlob(resolve, "image/jpeg", QUALITY));
  }

  show(moment) {
    this.moment = moment;
    this.bars.show(moment?.probabilities || null);
    this.units.show(moment?.people[0]?.units || null);
    element("live-label").textContent = moment ? (moment.label ? capital(moment.label) : "No verdict yet") : "Camera off";
    const basis = moment ? basisOf(moment) : "";
    if (element("live-basis").textContent !== basis) element("live-basis").textContent = basis;
    if (moment) {
      this.past.push(moment);
      while (this.past[0].time_s < moment.time_s - SHOWN_S - 1) this.past.shift();
      const last = this.past.slice(-20);
      const rate = (last.length - 1) / (moment.time_s - last[0].time_s);
      element("pace").textContent = last.length > 5 ? `${rate.toFixed(1)} pictures per second` : "";
    }
    this.overlay();
    this.recent();
  }

  /** Draw the faces over the preview, which is shown as in a mirror. */
  overlay() {
    const canvas = element("overlay");
    const pen = canvas.getContext("2d");
    pen.clearRect(0, 0, canvas.width, canvas.height);
    if (!this.moment) return;
    const [width, height] = this.moment.size;
    const scale = Math.min(canvas.width / width, canvas.height / height);
    const [left, top] = [(canvas.width - width * scale) / 2, (canvas.height - height * scale) / 2];
    const dots = devicePixelRatio;
    pen.font = `600 ${15 * dots}px system-ui, sans-serif`;
    pen.textBaseline = "middle";
    for (const [k, face] of this.moment.people.entries()) {
      const [x, y, side] = face.region;
      const label = k === 0 ? this.moment.label : face.label;
      const colour = this.colours[label] || "#777777";
      const at = left + (width - x - side) * scale;
      pen.setLineDash(face.found ? [] : [8 * dots, 8 * dots]);
      pen.lineWidth = 3 * dots;
      pen.strokeStyle = colour;
      pen.strokeRect(at, top + y * scale, side * scale, side * scale);
      const text = this.moment.people.length > 1 ? `${face.person}: ${label || "…"}` : label || "…";
      const high = 24 * dots;
      const tag = Math.max(0, top + y * scale - high);
      pen.fillStyle = colour;
      pen.fillRect(at - 1.5 * dots, tag, pen.measureText(text).width + 16 * dots, high);
      pen.fillStyle = inkOn(colour);
      pen.fillText(text, at + 6.5 * dots, tag + high / 2);
    }
  }

  /** Draw the last seconds: verdict and voice. */
  recent() {
    const canvas = element("recent");
    const pen = canvas.getContext("2d");
    const style = getComputedStyle(document.documentElement);
    const dots = devicePixelRatio;
    const [left, width] = [58 * dots, canvas.width];
    pen.clearRect(0, 0, width, canvas.height);
    pen.font = `${12 * dots}px system-ui, sans-serif`;
    pen.textBaseline = "middle";
    const end = this.past.at(-1)?.time_s ?? 0;
    const x = (time_s) => left + ((width - left) * (time_s - end + SHOWN_S)) / SHOWN_S;
    let top = 0;
    for (const [name, key, high] of [["verdict", "label", 26], ["face", "face", 12], ["voice", "voice", 12]]) {
      pen.fillStyle = style.getPropertyValue("--faint");
      pen.fillText(name, 0, (top + high / 2) * dots);
      pen.fillStyle = style.getPropertyValue("--track");
      pen.fillRect(left, top * dots, width - left, high * dots);
      this.past.forEach((moment, k) => {
        if (!moment[key]) return;
        const from = Math.max(left, x(moment.time_s));
        const to = k + 1 < this.past.length ? x(this.past[k + 1].time_s) : width;
        pen.fillStyle = this.colours[moment[key]];
        if (to > from) pen.fillRect(Math.floor(from), top * dots, Math.ceil(to) - Math.floor(from), high * dots);
      });
      top += high + 7;
    }
    pen.fillStyle = style.getPropertyValue("--faint");
    pen.fillText(`${SHOWN_S} s ago`, left, (top + 5) * dots);
    pen.fillText("now", width - pen.measureText("now").width, (top + 5) * dots);
  }

  /** Make the canvases as fine as the screen. */
  fit() {
    for (const canvas of [element("overlay"), element("recent")]) {
      const { width, height } = canvas.getBoundingClientRect();
      if (!width) continue;
      canvas.width = Math.round(width * devicePixelRatio);
      canvas.height = Math.round((canvas.id === "recent" ? 84 : height) * devicePixelRatio);
      if (canvas.id === "recent") canvas.style.height = "84px";
    }
    this.overlay();
    this.recent();
  }

  stop() {
    const run = this.run;
    this.run = null;
    if (run) close(run);
    this.eye.srcObject = null;
    element("idle").hidden = false;
    element("start").disabled = false;
    element("stop").disabled = true;
    element("pace").textContent = "";
    this.past = [];
    this.show(null);
  }
}

function close(run) {
  run.stream?.getTracks().forEach((track) => track.stop());
  run.microphone?.close();
  if (run.id) fetch(`/api/cameras/${run.id}`, { method: "DELETE", keepalive: true }).catch(() => {});
  run.id = null;
}

function explain(error) {
  const known = {
    NotAllowedError: "The browser did not allow the camera; allow it for this page and start again.",
    NotFoundError: "There is no camera on this machine.",
    NotReadableError: "The camera is used by another program.",
  };
  return known[error.name] || error.message;
}
