(() => {
  const box = document.currentScript?.parentElement;
  if (!box) return;  // inserted by a program, as a notebook editor does
  const data = JSON.parse(box.querySelector('script[type="application/json"]').textContent);
  const bar = box.querySelector(".sofim-controls"), fields = [...bar.querySelectorAll("input, select")];
  const figure = box.querySelector("figure"), img = figure.querySelector("img"), caption = figure.querySelector("figcaption");
  const alarm = box.querySelector(".sofim-alert"), goal = box.querySelector(".sofim-goal"), back = box.querySelector(".sofim-back");
  data.images[0] = img.src;
  let reached = false;
  const place = () => fields.map(field => +field.value);
  const put = state => fields.forEach((field, i) => { field.value = state[i]; });
  // Where no picture has this combination, other controls go back to their start, as few of them as possible.
  const settle = moved => {
    const now = place(), keep = test => now.map((value, i) => (i === moved || test(i) ? value : data.start[i]));
    return [now, keep(i => i < data.together), keep(() => false)].find(state => state in data.frames) || data.start;
  };
  const show = () => {
    const [image, words, hit] = data.frames[place()];
    figure.hidden = image === null;
    alarm.hidden = image !== null;
    alarm.textContent = image === null ? "This setting could not be shown. " + words : "";
    if (image !== null) {
      img.src = data.images[image];
      img.alt = caption.textContent = words;
    }
    fields.forEach((field, i) => {
      if (field.type !== "range") return;
      field.nextElementSibling.value = data.texts[i][field.value];
      field.setAttribute("aria-valuetext", data.texts[i][field.value]);
    });
    reached = reached || hit === 1;
    if (goal) {
      goal.firstChild.textContent = reached ? "Goal, ✓ reached:" : "Goal, ○ open:";
      goal.firstChild.style.color = reached ? "#009E73" : "inherit";
    }
  };
  const button = does => bar.querySelector(`[data-does="${does}"]`);
  const name = field => field.closest("label").querySelector("span").textContent;
  const moved = i => {
    const wish = place(), state = settle(i), lost = fields.filter((_, k) => state[k] !== wish[k]);
    put(state);
    show();
    back.textContent = lost.length ? `Set back to the start: ${lost.map(name).join("; ")}.` : "";
  };
  let clock = 0;
  const pause = () => {
    clearInterval(clock);
    clock = 0;
    caption.setAttribute("aria-live", "polite");
    if (button("play")) button("play").textContent = "Play";
  };
  const player = bar.querySelector("[data-plays]");
  if (player) {
    const i = +player.dataset.plays, last = data.texts[i].length - 1;
    const stand = at => { fields[i].value = Math.min(Math.max(at, 0), last); moved(i); };
    const move = steps => { pause(); stand(+fields[i].value + steps); };
    const tick = () => { stand(+fields[i].value + 1); if (+fields[i].value === last) pause(); };
    const play = () => {
      clock = setInterval(tick, 600);
      caption.setAttribute("aria-live", "off");  // words that change by themselves would never end
      button("play").textContent = "Pause";
      if (+fields[i].value === last) stand(0);
    };
    button("back").addEventListener("click", () => move(-1));
    button("step").addEventListener("click", () => move(1));
    button("play").addEventListener("click", () => (clock ? pause() : play()));
    // Who wants no motion gets none; Back and Step remain.
    const calm = matchMedia("(prefers-reduced-motion: reduce)");
    const obey = () => { button("play").hidden = calm.matches; if (calm.matches) pause(); };
    calm.addEventListener("change", obey);
    obey();
  }
  fields.forEach((field, i) => field.addEventListener("input", () => { pause(); moved(i); }));
  button("reset").addEventListener("click", () => { pause(); reached = false; put(data.start); show(); back.textContent = ""; });
  pause();
  bar.hidden = false;
  put(data.start);  // a browser that reloads a page keeps what was set
  show();
})();
