// The page: two ways to be judged, a clip or the camera. Everything comes from this machine.
import { Clip } from "./clip.js";
import { Camera } from "./camera.js";
import { ask, element } from "./common.js";

const problem = element("problem");

export function complain(sentence) {
  problem.textContent = sentence;
  problem.hidden = !sentence;
}

function tabs(onChange) {
  const all = [...document.querySelectorAll("[role=tab]")];
  const choose = (chosen, focus) => {
    for (const tab of all) {
      const is = tab === chosen;
      tab.setAttribute("aria-selected", is);
      tab.tabIndex = is ? 0 : -1;
      element(tab.getAttribute("aria-controls")).hidden = !is;
    }
    if (focus) chosen.focus();
    complain("");
    onChange(chosen.getAttribute("aria-controls"));
  };
  all.forEach((tab, k) => {
    tab.addEventListener("click", () => choose(tab, false));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (step) choose(all[(k + step + all.length) % all.length], true);
    });
  });
}

try {
  const settings = await ask("/api/settings");
  const clip = new Clip(settings, complain);
  const camera = new Camera(settings, complain);
  tabs((name) => {
    if (name === "camera") clip.pause();
    else camera.stop();
    if (name === "camera") camera.fit();
    else clip.fit();
  });
} catch (error) {
  complain(error.message);
}
