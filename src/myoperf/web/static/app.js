// The page: who reads, then the worklist or one study, by the part of the address after '#'.

import { get, post } from "/static/api.js";
import { loadPalettes } from "/static/colour.js";
import { element, notice, replace, watchFocus } from "/static/dom.js";
import { showStudy } from "/static/reading.js";
import { showTrial, showTrials } from "/static/trials.js";
import { showWorklist } from "/static/worklist.js";

const room = document.getElementById("room");
let leave = null;

async function show() {
  leave?.();
  leave = null;
  const session = await get("/api/session");
  if (!session.reader) return askReader(session.token);
  try {
    await loadPalettes();
    leave = await opened(session.reader);
  } catch (error) {
    notice(error.message, true);
    replace(room, element("p", { class: "hint" }, error.message), element("a", { href: "#/" }, "Worklist"));
  }
}

// Show what the address names; return what leaves it.
function opened(reader) {
  const [, what, number] = location.hash.match(/^#\/(study|trial|trials)(?:\/(\d+))?$/) ?? [];
  if (what === "study" && number) return showStudy(room, Number(number), reader);
  if (what === "trial" && number) return showTrial(room, Number(number));
  return what === "trials" ? showTrials(room) : showWorklist(room, reader);
}

function askReader(needsToken) {
  const name = element("input", { id: "reader", required: true, autocomplete: "name", placeholder: "Your name" });
  const token = element("input", { id: "token", type: "password", placeholder: "Token" });
  const enter = async (event) => {
    event.preventDefault();
    try {
      await post("/api/session", { reader: name.value, token: needsToken ? token.value : "" });
      show();
    } catch (error) {
      notice(error.message, true);
    }
  };
  replace(
    room,
    element("form", { class: "enter", onsubmit: enter },
      element("h1", {}, "Reading room"),
      element("p", {}, "Your name is kept with what you change and sign."),
      name, needsToken ? token : null, element("button", { type: "submit", id: "enter" }, "Enter")),
  );
  name.focus();
}

watchFocus();
addEventListener("hashchange", show);
show();
