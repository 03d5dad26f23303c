"use strict";
const at = (id) => document.getElementById(id);
// Without the user and password that the address may have been opened with: browsers refuse to fetch those.
const here = location.origin + location.pathname.replace(/\/+$/, "");
at("openapi").href = here + "/openapi.json";

function pretty(text) {
  try {
    return text.length < 100000 ? JSON.stringify(JSON.parse(text), null, 1) : text;
  } catch {
    return text;
  }
}

function show(outcome, good, answer) {
  at("outcome").textContent = outcome;
  at("outcome").className = good ? "" : "bad";
  at("answer").textContent = answer;
}

at("try").addEventListener("submit", async (event) => {
  event.preventDefault();
  const headers = { "content-type": "application/json" };
  const key = at("key").value.trim();
  if (key) headers["x-api-key"] = key;
  at("send").disabled = true;
  show("", true, "");
  const begun = performance.now();
  try {
    const response = await fetch(here || "/", { method: "POST", headers, body: at("payload").value });
    const text = await response.text();
    const took = Math.round(performance.now() - begun);
    show(`${response.status} ${response.statusText} in ${took} ms`, response.ok, pretty(text));
  } catch (error) {
    show(`no answer: ${error.message}`, false, "");
  }
  at("send").disabled = false;
});
