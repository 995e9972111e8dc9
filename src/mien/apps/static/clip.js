// Clips, one after the other: choose, upload, wait, watch. The server forgets each as soon as the page has its film.
import { Bars, UnitBars, ask, basisOf, capital, cautionOf, dot, element, make, refusal, seconds, sentence } from "./common.js";
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
    this.queue = []; // files that wait
    this.results = []; // of those that are judged
    this.job = null;
    this.sending = null;
    element("limits").textContent =
      `films, sound files and pictures, up to ${settings.upload_mib} MiB and ${settings.upload_s} s each`;
    element("caution").textContent = cautionOf(settings);
    const words = "verdict: of face and voice together; face, voice: of one alone; grey: nothing was judged";
    element("legend").replaceChildren(
      ...settings.classes.map(({ name, colour }) => make("span", {}, dot(colour), name)),
      make("span", { className: "words", textContent: words }),
    );
    this.listen();
  }

  listen() {
    const [file, drop] = [element("file"), element("drop")];
    file.addEventListener("change", () => this.take([...file.files]));
    // A clip may be dropped anywhere on the page.
    document.addEventListener("dragover", (event) => {
      event.preventDefault();
      drop.classList.add("over");
    });
    document.addEventListener("dragleave", (event) => event.relatedTarget || drop.classList.remove("over"));
    document.addEventListener("drop", (event) => {
      event.preventDefault();
      drop.classList.remove("over");
      if (!element("clip").hidden) this.take([...event.dataTransfer.files]);
    });
    element("cancel").addEventListener("click", () => this.cancel());
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

  /** Judge files one after the other; more may come while some wait. */
  async take(files) {
    this.queue.push(...files);
    if (!files.length || this.turn) return;
    this.complain("");
    const [turn, problems] = [(this.turn = Symbol("turn")), []];
    element("choose").hidden = true;
    while (this.queue.length) {
      try {
        const result = await this.judge(this.queue.shift(), turn);
        if (!result) return;
        this.results.push(result);
        this.list();
        if (this.results.length === 1) this.show(result);
      } catch (error) {
        if (turn !== this.turn) return;
        problems.push(error.message);
        this.complain(problems.join(" "));
      }
      this.forget();
    }
    this.turn = null;
    element("progress").hidden = true;
    element("file").value = "";
    if (this.results.length) return;
    this.reset();
    this.complain(problems.join(" "));
    element("file").focus();
  }

  /** Upload a file and return what was made of it; null if nobody wants that any more. */
  async judge(file, turn) {
    const { upload_mib } = this.settings;
    if (file.size > upload_mib * MIB) {
      const size = `${file.name} has ${(file.size / MIB).toFixed(1)} MiB`;
      throw new Error(`${size}, and at most ${upload_mib} are taken; cut the clip.`);
    }
    element("progress").hidden = false;
    element("progress-name").textContent = this.queue.length ? `${file.name}, then ${this.queue.length} more` : file.name;
    const status = await this.upload(file);
    if (turn !== this.turn) return void ask(`/api/clips/${status.id}`, { method: "DELETE" }).catch(() => {});
    this.job = status.id;
    const done = await this.wait(turn);
    if (!done) return null;
    this.tell(null, "Fetching the film");
    const wanted = done.answer.kind === "film" ? ["timeline.csv", "film.mp4"] : ["timeline.csv"];
    const [table, film] = await Promise.all(wanted.map((one) => this.fetch(one)));
    if (turn !== this.turn) return null;
    const json = new Blob([JSON.stringify(done.answer, null, 2)], { type: "application/json" });
    const [shown, csv, answer_json] = [film || file, table, json].map((blob) => this.keep(blob));
    return { name: done.name, answer: done.answer, shown, csv, answer_json };
  }

  /** Send the file; fetch would not tell how much has gone. */
  upload(file) {
    const query = new URLSearchParams({ name: file.name, units: element("units").checked, cropped: element("cropped").checked });
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

  /** List what was judged, where it is more than one. */
  list() {
    const all = this.results.map((result) => {
      const { label } = result.answer.verdict;
      const words = `${result.name}: ${label || "no verdict"}`;
      const button = make("button", { title: words }, dot(label ? this.colours[label] : "var(--line)"), words);
      button.setAttribute("aria-pressed", result === this.shown);
      button.addEventListener("click", () => this.show(result));
      return button;
    });
    element("list").replaceChildren(...all);
    element("list").hidden = all.length < 2;
  }

  show(result) {
    const { name, answer, shown, csv, answer_json } = result;
    this.shown = result;
    this.list();
    const stem = name.replace(/\.[^.]*$/, "") || "clip";
    const isPicture = answer.kind === "picture";
    element("still").hidden = !isPicture;
    element("player").hidden = isPicture;
    this.film.hidden = element("full").hidden = answer.kind !== "film"; // a sound plays unseen
    if (isPicture) {
      element("still").src = shown;
      this.film.removeAttribute("src");
      this.film.load();
    } else this.film.src = shown;
    element("get-film").hidden = answer.kind !== "film";
    for (const [id, address, suffix] of [["get-film", shown, "film.mp4"], ["get-csv", csv, "timeline.csv"], ["get-json", answer_json, "json"]]) {
      Object.assign(element(id), { href: address, download: `${stem}.${suffix}` });
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

  /** Leave off the clip that is judged and those that wait; what is judged stays. */
  cancel() {
    this.turn = null;
    this.queue = [];
    this.sending?.abort();
    this.sending = null;
    this.forget();
    element("progress").hidden = true;
    if (!this.results.length) this.reset();
  }

  reset() {
    this.results = [];
    this.shown = null;
    this.list();
    this.turn = null;
    this.queue = [];
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
