// A clip: choose, upload, wait, watch. The server forgets it as soon as the page has the film.
import { Bars, UnitBars, ask, basisOf, capital, element, make, refusal, seconds, sentence } from "./common.js";
import { Timeline } from "./timeline.js";

const ASK_MS = 300;
const MIB = 2 ** 20;

export class Clip {
  constructor(settings, complain) {
    this.settings = settings;
    this.complain = complain;
    this.colours = Object.fromEntries(settings.classes.map(({ name, colour }) => [name, colour]));
    this.film = element("film");
    this.bars = new Bars(element("bars"), settings.classes);
    this.units = new UnitBars(element("film-units"), settings.units);
    this.timeline = new Timeline(element("timeline"), this.colours, (time_s) => {
      this.film.currentTime = time_s;
      this.follow();
    });
    this.kept = []; // addresses of blobs
    this.job = null;
    this.sending = null;
    element("limits").textContent =
      `MP4, MOV, MKV, WebM, AVI or FLV, up to ${settings.upload_mib} MiB and ${settings.upload_s} s`;
    this.listen();
  }

  listen() {
    const [file, drop] = [element("file"), element("drop")];
    file.addEventListener("change", () => file.files[0] && this.send(file.files[0]));
    // A clip may be dropped anywhere on the page.
    document.addEventListener("dragover", (event) => {
      event.preventDefault();
      drop.classList.add("over");
    });
    document.addEventListener("dragleave", (event) => event.relatedTarget || drop.classList.remove("over"));
    document.addEventListener("drop", (event) => {
      event.preventDefault();
      drop.classList.remove("over");
      const dropped = event.dataTransfer.files[0];
      if (dropped && !element("choose").hidden && !element("clip").hidden) this.send(dropped);
    });
    element("cancel").addEventListener("click", () => this.reset());
    element("another").addEventListener("click", () => this.reset());
    addEventListener("pagehide", () => this.forget());
    for (const name of ["timeupdate", "seeking", "seeked", "pause"]) this.film.addEventListener(name, () => this.follow());
    this.film.addEventListener("play", () => this.run());
    for (const name of ["play", "pause", "ended"]) {
      this.film.addEventListener(name, () => (element("play").textContent = this.film.paused ? "Play" : "Pause"));
    }
    for (const one of [this.film, element("play")]) one.addEventListener("click", () => this.toggle());
    element("mute").addEventListener("click", () => {
      this.film.muted = !this.film.muted;
      element("mute").setAttribute("aria-pressed", this.film.muted);
      element("mute").textContent = this.film.muted ? "Unmute" : "Mute";
    });
    element("full").addEventListener("click", () => this.film.requestFullscreen?.().catch(() => {}));
    document.addEventListener("fullscreenchange", () => (this.film.controls = document.fullscreenElement === this.film));
  }

  async send(file) {
    this.complain("");
    const { upload_mib } = this.settings;
    if (file.size > upload_mib * MIB) {
      const size = `${file.name} has ${Math.round(file.size / MIB)} MiB`;
      this.complain(`${size}, and at most ${upload_mib} are taken; cut the clip.`);
      element("file").value = "";
      return;
    }
    element("choose").hidden = true;
    element("progress").hidden = false;
    element("progress-name").textContent = file.name;
    const turn = (this.turn = Symbol("turn"));
    try {
      const status = await this.upload(file);
      if (turn !== this.turn) return void ask(`/api/clips/${status.id}`, { method: "DELETE" }).catch(() => {});
      this.job = status.id;
      const done = await this.wait(turn);
      if (done) await this.show(done, turn);
    } catch (error) {
      if (turn !== this.turn) return;
      this.reset();
      this.complain(error.message);
      element("file").focus();
    }
  }

  /** Send the file; fetch would not tell how much has gone. */
  upload(file) {
    const query = new URLSearchParams({ name: file.name, units: element("units").checked });
    const request = (this.sending = new XMLHttpRequest());
    request.open("POST", `/api/clips?${query}`);
    request.responseType = "json";
    request.upload.addEventListener("progress", ({ loaded, total }) => this.tell(loaded / total, "Uploading"));
    this.tell(0, "Uploading");
    return new Promise((resolve, reject) => {
      request.onload = async () => {
        if (request.status === 202) resolve(request.response);
        else reject(await refusal(request.status, request.response));
      };
      request.onerror = () => reject(new Error("The server does not answer; is `mien serve` still running?"));
      request.onabort = () => reject(new Error("The upload was cancelled."));
      request.send(file);
    });
  }

  async wait(turn) {
    for (;;) {
      const status = await ask(`/api/clips/${this.job}`);
      if (turn !== this.turn) return null;
      if (status.state === "failed") throw new Error(sentence(status.error));
      if (status.state === "done") return status;
      if (status.state === "judging") this.tell(status.share, `Judging: ${seconds(status.time_s)} seen`);
      else this.tell(null, status.ahead === 1 ? "Waiting: one clip before this one" : `Waiting: ${status.ahead} clips before this one`);
      await new Promise((resolve) => setTimeout(resolve, ASK_MS));
    }
  }

  tell(share, text) {
    const bar = element("bar");
    if (share === null) bar.removeAttribute("value");
    else bar.value = share;
    element("progress-text").textContent = text;
  }

  async show({ name, answer }, turn) {
    this.tell(null, "Fetching the film");
    const [film, table] = await Promise.all(["film.mp4", "timeline.csv"].map((file) => this.fetch(file)));
    if (turn !== this.turn) return;
    this.forget();
    const stem = name.replace(/\.[^.]*$/, "") || "clip";
    const json = new Blob([JSON.stringify(answer, null, 2)], { type: "application/json" });
    this.film.src = this.keep(film);
    for (const [id, blob, suffix] of [["get-film", film, "film.mp4"], ["get-csv", table, "timeline.csv"], ["get-json", json, "json"]]) {
      Object.assign(element(id), { href: this.keep(blob), download: `${stem}.${suffix}` });
    }
    const { label } = answer.verdict;
    element("verdict").textContent = label ? capital(label) : "No verdict";
    element("verdict-dot").style.background = label ? this.colours[label] : "var(--line)";
    element("sentence").textContent = answer.sentence;
    element("result-name").textContent = name;
    this.whole(answer.verdict);
    this.units.show(null);
    element("film-units").hidden = !answer.timeline.some(({ units }) => units);
    element("mute").hidden = !answer.sound;
    element("progress").hidden = true;
    element("result").hidden = false;
    this.timeline.show(answer);
    this.follow();
    element("verdict").focus({ preventScroll: true });
  }

  /** Show how much of the time each emotion was the verdict. */
  whole({ seconds: spent, judged_s }) {
    const shares = this.settings.classes.map((one) => ({ ...one, share: spent[one.name] / (judged_s || 1) }));
    const there = shares.filter(({ share }) => share > 0).sort((a, b) => b.share - a.share);
    element("whole").replaceChildren(...there.map(({ colour, share }) => {
      const part = make("div");
      part.style.background = colour;
      part.style.flex = String(share);
      return part;
    }));
    const words = there.map(({ name, share }) => `${name} ${Math.round(100 * share)}%`);
    element("whole-words").textContent = words.join(", ") || "nothing was judged";
  }

  toggle() {
    if (this.film.controls) return;
    if (this.film.paused) this.film.play();
    else this.film.pause();
  }

  async fetch(file) {
    const response = await fetch(`/api/clips/${this.job}/${file}`);
    if (!response.ok) throw await refusal(response.status, response.json());
    return response.blob();
  }

  /** Show what was judged at the time that the film is at. */
  follow() {
    if (!this.timeline.answer) return;
    const time_s = this.film.currentTime;
    this.timeline.at(time_s);
    const now = this.timeline.stretch(time_s);
    if (!now) return;
    this.bars.show(now.probabilities);
    if (now.units) this.units.show(Object.values(now.units));
    element("time").textContent = `${time_s.toFixed(1)} / ${seconds(this.film.duration || this.timeline.answer.duration_s)}`;
    element("now-label").textContent = now.label ? capital(now.label) : "No verdict yet";
    element("now-basis").textContent = `at ${seconds(time_s)} ${basisOf(now)}`;
  }

  run() {
    this.follow();
    if (!this.film.paused && !this.film.ended) requestAnimationFrame(() => this.run());
  }

  pause() {
    this.film.pause();
  }

  fit() {
    this.timeline.draw();
  }

  keep(blob) {
    this.kept.push(URL.createObjectURL(blob));
    return this.kept.at(-1);
  }

  /** Let the server delete everything of this clip. */
  forget() {
    if (this.job) fetch(`/api/clips/${this.job}`, { method: "DELETE", keepalive: true }).catch(() => {});
    this.job = null;
  }

  reset() {
    this.turn = null;
    this.sending?.abort();
    this.sending = null;
    this.forget();
    this.film.removeAttribute("src");
    this.film.load();
    this.kept.splice(0).forEach((address) => URL.revokeObjectURL(address));
    this.timeline.answer = null;
    this.complain("");
    element("file").value = "";
    element("result").hidden = element("progress").hidden = true;
    element("choose").hidden = false;
    element("file").focus();
  }
}
