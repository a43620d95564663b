// What moves in a report: gated slices, colour scales and windows. Without scripts the page stands still and is complete.
(() => {
  "use strict";
  const { windows, maps, palettes, palette: first } = JSON.parse(document.getElementById("scales").textContent);
  const controls = document.getElementById("controls");
  const windowOf = Object.fromEntries(Object.keys(windows).map((name) => [name, [0, 100]]));
  let palette = first;

  function made(tag, properties = {}, ...children) {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  }

  // Pictures whose scale can change, as numbers of colours: 0 to 254 for 0 to 100 %, 255 for none.
  const pictures = [];
  const tables = {};

  function coloursOf(name) {
    const [low, high] = windowOf[name] ?? [0, 100];
    const hex = palettes[palette];
    const table = new Uint32Array(256); // little-endian RGBA, as ImageData holds it; the last stays transparent
    for (let number = 0; number < 255; number++) {
      const level = Math.round(254 * Math.min(1, Math.max(0, ((100 * number) / 254 - low) / (high - low))));
      const [red, green, blue] = [0, 2, 4].map((at) => parseInt(hex.substr(6 * level + at, 2), 16));
      table[number] = ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
    }
    return table;
  }

  function colour(name) {
    tables[name] = coloursOf(name);
    for (const picture of pictures.filter((one) => one.scale === name)) {
      picture.stale = true;
      if (!picture.frame?.hasAttribute("hidden")) paint(picture);
    }
  }

  function paint(picture) {
    const { context, numbers, scale } = picture;
    const image = context.createImageData(context.canvas.width, context.canvas.height);
    const pixels = new Uint32Array(image.data.buffer);
    const table = tables[scale];
    numbers.forEach((number, i) => (pixels[i] = table[number]));
    context.putImageData(image, 0, 0);
    picture.stale = false;
  }

  // Put a canvas in the place of an image, which shows its numbers by a filter: too slow for what moves.
  async function takeOver(image) {
    const decoded = new Image();
    decoded.src = image.getAttribute("href");
    await decoded.decode();
    const canvas = made("canvas", { width: decoded.naturalWidth, height: decoded.naturalHeight });
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(decoded, 0, 0);
    const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
    const numbers = Uint8Array.from({ length: data.length / 4 }, (_, i) => (data[4 * i + 3] ? data[4 * i] : 255));
    const place = document.createElementNS("http://www.w3.org/2000/svg", "foreignObject");
    for (const side of ["x", "y", "width", "height"]) place.setAttribute(side, image.getAttribute(side));
    place.append(canvas);
    const picture = { context, numbers, scale: image.dataset.scale, frame: image.closest(".frame"), stale: true };
    pictures.push(picture);
    if (picture.frame) (picture.frame.pictures ??= []).push(picture);
    if (!picture.frame?.hasAttribute("hidden")) paint(picture);
    image.replaceWith(place);
  }

  Object.keys(windows).concat(maps).forEach((name) => (tables[name] = coloursOf(name)));
  document.querySelectorAll("image[data-scale]").forEach(takeOver);

  function slider(name, end, shown) {
    const input = made("input", { type: "range", min: "0", max: end ? "100" : "99", value: String(windowOf[name][end]), id: `${name}-${end ? "upper" : "lower"}` });
    input.setAttribute("aria-label", `${windows[name]}: ${end ? "upper" : "lower"} end of the colour scale, %`);
    input.addEventListener("input", () => {
      const other = windowOf[name][1 - end];
      windowOf[name][end] = end ? Math.max(Number(input.value), other + 1) : Math.min(Number(input.value), other - 1);
      input.value = String(windowOf[name][end]);
      shown.textContent = `${windowOf[name][0]} to ${windowOf[name][1]} %`;
      colour(name);
    });
    return input;
  }

  function windowControl(name) {
    const shown = made("output", { textContent: "0 to 100 %" });
    return made("label", {}, made("b", { textContent: windows[name] }), slider(name, 0, shown), slider(name, 1, shown), shown);
  }

  const choice = made("select", { id: "palette" }, ...Object.keys(palettes).map((name) => made("option", { textContent: name })));
  choice.addEventListener("change", () => {
    palette = choice.value;
    [...Object.keys(windows), maps].forEach(colour);
  });
  controls.append(made("label", {}, "Palette", choice), ...Object.keys(windows).map(windowControl));

  const scans = [...document.querySelectorAll("svg.cine")].map((svg) => [...svg.querySelectorAll(".frame")]);
  if (!scans.length) return;
  const play = { on: true, beat: 0, rate: 14, last: 0 };

  // Gates of scans with different numbers of them keep the same share of the beat.
  function show() {
    const most = Math.max(...scans.map((frames) => frames.length));
    const share = ((play.beat % most) + most) % most / most;
    for (const frames of scans) {
      const gate = Math.floor(share * frames.length);
      frames[gate].pictures?.filter((picture) => picture.stale).forEach(paint);
      frames.forEach((frame, i) => frame.toggleAttribute("hidden", i !== gate));
    }
  }

  function step(time) {
    requestAnimationFrame(step);
    if (!play.on || time - play.last < 1000 / play.rate - 2) return;
    play.last = time;
    play.beat += 1;
    show();
  }

  function toggle() {
    play.on = !play.on;
    button.textContent = play.on ? "Pause" : "Play";
  }

  const button = made("button", { id: "play", textContent: "Pause", title: "Space; comma and full stop: one gate" });
  button.addEventListener("click", toggle);
  const rate = made("input", { type: "range", id: "rate", min: "4", max: "25", value: String(play.rate) });
  rate.setAttribute("aria-label", "Gates a second");
  const speed = made("output", { textContent: `${play.rate} gates/s` });
  rate.addEventListener("input", () => {
    play.rate = Number(rate.value);
    speed.textContent = `${play.rate} gates/s`;
  });
  const outlines = made("input", { type: "checkbox", id: "outlines", checked: true });
  outlines.addEventListener("change", () => document.body.classList.toggle("bare", !outlines.checked));
  controls.append(made("label", {}, made("b", { textContent: "Cine" }), button, rate, speed), made("label", {}, outlines, "Outlines"));
  addEventListener("keydown", (event) => {
    if (["INPUT", "SELECT", "BUTTON"].includes(event.target.tagName) || event.target.isContentEditable) return;
    if (event.key === " ") toggle();
    else if (event.key === "," || event.key === ".") {
      play.beat += event.key === "." ? 1 : -1;
      show();
    } else return;
    event.preventDefault();
  });
  requestAnimationFrame(step);
})();
