"use strict";
// Every text of a row goes into the page as text, never as markup.
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const PAGE = 50;
const TEXT = 0, ERROR = 1, SECONDS = 2, TOKENS = 3, COST = 4, TRACE = 5, SCORES = 6;
const ORDER = data.order;
const state = {key: "place", up: true, page: 0, shown: [], open: -1, trial: 0,
  left: ORDER[0], right: ORDER[ORDER.length - 1 ? 1 : 0]};
// The rows whose answers are shown below them.
const unfolded = new Set();

function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name === "class") element.className = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

// Scores

function valueOf(score) {
  const value = Array.isArray(score) ? score[0] : score;
  return typeof value === "number" ? value : null;
}

// The mean over repetitions of those that were scored; null where none was.
function mean(row, candidate, scorer) {
  let sum = 0, n = 0;
  for (const answer of row.a[candidate]) {
    const value = answer ? valueOf(answer[SCORES][scorer]) : null;
    if (value !== null) { sum += value; n += 1; }
  }
  return n ? sum / n : null;
}

function outcome(row, candidate, scorer) {
  const value = mean(row, candidate, scorer);
  if (value !== null) return value === 1 ? "right" : value === 0 ? "wrong" : "between";
  if (row.a[candidate].every((answer) => answer === null)) return "unreached";
  return row.a[candidate].some((answer) => answer && answer[ERROR] !== null) ? "failed" : "unscored";
}

function differs(row, scorer) {
  const values = data.candidates.map((_, candidate) => mean(row, candidate, scorer))
    .filter((value) => value !== null);
  return values.some((value) => Math.abs(value - values[0]) > 1e-9);
}

const WORDS = {right: "right (100 %)", between: "in between", wrong: "wrong (0 %)",
  unscored: "not scored", failed: "answer failed", unreached: "not reached"};

function inWords(row, candidate, scorer) {
  const value = mean(row, candidate, scorer);
  if (value === null) return WORDS[outcome(row, candidate, scorer)];
  return value === 1 ? "✓ 100 %" : value === 0 ? "✗ 0 %" : Math.round(value * 1000) / 10 + " %";
}

// The list

for (const [place, row] of data.rows.entries()) {
  row.place = place;
  const texts = [row.id, row.q, row.e, row.x];
  for (const trials of row.a) {
    for (const answer of trials) {
      if (!answer) continue;
      texts.push(answer[TEXT], answer[ERROR]);
      for (const score of answer[SCORES]) if (Array.isArray(score)) texts.push(score[0], score[1]);
    }
  }
  row.text = texts.filter((text) => text !== null).join("\n").toLowerCase();
}

function options(select, entries) {
  for (const [value, text] of entries) select.append(make("option", {value}, text));
}

function distinct(key) {
  return [...new Set(data.rows.map((row) => row[key]).filter((value) => value !== null))].sort();
}

options($("outcome"), [["", "any"], ...Object.entries(WORDS),
  ...(data.candidates.length > 1 ? [["differs", "differs between candidates"]] : [])]);
const CANDIDATES = ORDER.map((place) => [place, data.candidates[place]]);
options($("of"), [["", "any candidate"], ...CANDIDATES]);
options($("scorer"), data.scorers.map((name, place) => [place, name]));
$("scorer").value = data.main;
for (const [id, key] of [["category", "c"], ["language", "l"]]) {
  const values = distinct(key);
  options($(id), [["", "any"], ...values.map((value, place) => [place, value])]);
  $(id).values = values;
  $(id).parentElement.hidden = values.length < 2;
}
$("of").parentElement.hidden = data.candidates.length < 2;

function select() {
  const scorer = Number($("scorer").value), wanted = $("outcome").value, of = $("of").value;
  const words = $("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const category = $("category").value, language = $("language").value;
  const some = of === "" ? data.candidates.map((_, place) => place) : [Number(of)];
  state.shown = data.rows.filter((row) =>
    (category === "" || row.c === $("category").values[category]) &&
    (language === "" || row.l === $("language").values[language]) &&
    words.every((word) => row.text.includes(word)) &&
    (wanted === "" || (wanted === "differs" ? differs(row, scorer)
      : some.some((candidate) => outcome(row, candidate, scorer) === wanted))));
  sort(scorer);
  state.page = 0;
  show();
}

function sort(scorer) {
  const {key, up} = state;
  const value = typeof key === "number" ? (row) => mean(row, key, scorer) : (row) => row[key];
  const compare = new Intl.Collator(undefined, {numeric: true}).compare;
  const keyed = state.shown.map((row) => [value(row), row]);
  keyed.sort(([a, first], [b, second]) => {
    // Rows without a value come last in both directions.
    if (a === null || b === null) return (a === null) - (b === null) || first.place - second.place;
    const order = typeof a === "number" ? a - b : compare(a, b);
    return (up ? order : -order) || first.place - second.place;
  });
  state.shown = keyed.map(([, row]) => row);
}

function columns() {
  return [["place", "Row"], ["q", "Question"],
    ...CANDIDATES,
    ...(distinct("c").length ? [["c", "Category"]] : []),
    ...(distinct("l").length ? [["l", "Language"]] : [])];
}
const COLUMNS = columns();
options($("sort"), COLUMNS);
$("sort").addEventListener("change", () => {
  state.key = COLUMNS[$("sort").selectedIndex][0];
  state.up = true;
  select();
});

// Long names of models may be broken after their signs.
function breakable(title) {
  return title.split(/(?<=[:/_-])/).flatMap((part, n) => n ? [make("wbr"), part] : [part]);
}

function head() {
  const cells = COLUMNS.map(([key, title]) => {
    const sorted = key === state.key;
    const cell = make("th", {scope: "col", role: "columnheader"}, make("button", {type: "button", onclick: () => {
      state.up = sorted ? !state.up : true;
      state.key = key;
      select();
      $("list").tHead.querySelectorAll("button")[COLUMNS.findIndex((c) => c[0] === key)].focus();
    }}, ...breakable(title), make("span", {"aria-hidden": "true"}, sorted ? (state.up ? " ▲" : " ▼") : " ↕")));
    cell.setAttribute("aria-sort", sorted ? (state.up ? "ascending" : "descending") : "none");
    return cell;
  });
  $("list").tHead.replaceChildren(make("tr", {role: "row"}, ...cells));
  $("sort").selectedIndex = COLUMNS.findIndex((column) => column[0] === state.key);
}

function line(row, place, scorer) {
  const cells = COLUMNS.map(([key, title]) => {
    const cell = {role: "cell", "data-label": title};
    if (key === "place") return make("td", cell, row.id);
    if (key === "q") {
      const opener = make("button", {type: "button", "aria-expanded": unfolded.has(row.place),
        "aria-controls": `fold-${row.place}`, onclick: () => fold(row, place)}, row.q);
      return make("th", {scope: "row", role: "rowheader", class: "q title"}, opener);
    }
    if (typeof key === "string") return make("td", cell, row[key] === null ? "" : row[key]);
    const kind = outcome(row, key, scorer);
    const look = kind === "right" ? "n pass" : kind === "wrong" ? "n fail" : "n";
    return make("td", {...cell, class: look}, inWords(row, key, scorer));
  });
  return make("tr", {role: "row"}, ...cells);
}

// What every candidate answered to a row, below it.
function answers(row, place, scorer) {
  const parts = CANDIDATES.map(([candidate, label]) => make("section", {},
    make("h3", {}, label, " ", make("span", {class: "quiet"}, inWords(row, candidate, scorer))),
    ...row.a[candidate].flatMap((answer) => {
      if (!answer) return [make("p", {class: "quiet"}, "Not reached.")];
      const score = answer[SCORES][scorer], said = Array.isArray(score) ? score : [null, null];
      const why = [answer[ERROR], valueOf(score) === null ? `not scored: ${said[0]}` : null, said[1]];
      return [make("div", {class: "text"}, answer[TEXT] || "(nothing)"),
        ...why.filter(Boolean).map((reason) => make("p", {class: "quiet"}, reason))];
    })));
  const closer = make("button", {type: "button", onclick: () => read(place)},
    data.candidates.length > 1 ? "Compare side by side" : "All about this row");
  return make("tr", {role: "row", id: `fold-${row.place}`, class: "fold"},
    make("td", {role: "cell", colspan: COLUMNS.length},
      row.e === null ? null : make("p", {}, make("strong", {}, "Expected: "), row.e),
      make("div", {class: "compared"}, ...parts), make("p", {}, closer)));
}

function fold(row, place) {
  if (!unfolded.delete(row.place)) unfolded.add(row.place);
  show();
  opener(place).focus();
}

function opener(place) {
  return $("list").tBodies[0].querySelectorAll("th button")[place % PAGE];
}

function show() {
  head();
  const scorer = Number($("scorer").value), start = state.page * PAGE;
  const pages = Math.max(1, Math.ceil(state.shown.length / PAGE));
  const body = state.shown.slice(start, start + PAGE).flatMap((row, offset) => [
    line(row, start + offset, scorer),
    ...(unfolded.has(row.place) ? [answers(row, start + offset, scorer)] : [])]);
  $("list").tBodies[0].replaceChildren(...body);
  $("count").textContent = state.shown.length === data.rows.length
    ? `${data.rows.length} rows` : `${state.shown.length} of ${data.rows.length} rows`;
  $("page").textContent = `Page ${state.page + 1} of ${pages}`;
  $("back").disabled = state.page === 0;
  $("forth").disabled = state.page >= pages - 1;
}

$("unfold").addEventListener("click", () => {
  const all = $("unfold").getAttribute("aria-pressed") !== "true";
  $("unfold").setAttribute("aria-pressed", all);
  unfolded.clear();
  if (all) for (const row of data.rows) unfolded.add(row.place);
  show();
});

let waiting = 0;
$("search").addEventListener("input", () => {
  clearTimeout(waiting);
  waiting = setTimeout(select, 120);
});
$("filters").addEventListener("change", (event) => { if (event.target !== $("search")) select(); });
$("filters").addEventListener("submit", (event) => event.preventDefault());
function turn(step) {
  state.page += step;
  show();
  $("list").scrollIntoView({block: "start"});
}
$("back").addEventListener("click", () => turn(-1));
$("forth").addEventListener("click", () => turn(1));

// One row, two candidates side by side

// Which words of the two texts are not in their longest common subsequence.
function differences(first, second) {
  const a = first.match(/\s+|[^\s]+/g) || [], b = second.match(/\s+|[^\s]+/g) || [];
  let from = 0, endA = a.length, endB = b.length;
  while (from < endA && from < endB && a[from] === b[from]) from += 1;
  while (endA > from && endB > from && a[endA - 1] === b[endB - 1]) { endA -= 1; endB -= 1; }
  const n = endA - from, m = endB - from;
  if (n * m > 4e6) return null;
  const longest = new Uint32Array((n + 1) * (m + 1));
  for (let i = n - 1; i >= 0; i -= 1) {
    for (let j = m - 1; j >= 0; j -= 1) {
      longest[i * (m + 1) + j] = a[from + i] === b[from + j]
        ? longest[(i + 1) * (m + 1) + j + 1] + 1
        : Math.max(longest[(i + 1) * (m + 1) + j], longest[i * (m + 1) + j + 1]);
    }
  }
  const newA = new Set(), newB = new Set();
  let i = 0, j = 0;
  while (i < n || j < m) {
    if (i < n && j < m && a[from + i] === b[from + j]) { i += 1; j += 1; }
    else if (j >= m || (i < n && longest[(i + 1) * (m + 1) + j] >= longest[i * (m + 1) + j + 1])) {
      newA.add(from + i); i += 1;
    } else { newB.add(from + j); j += 1; }
  }
  return [[a, newA], [b, newB]];
}

function marked([words, fresh]) {
  const block = make("div", {class: "text"});
  let plain = "", run = "";
  const flush = () => {
    if (plain) block.append(plain);
    if (run) block.append(make("mark", {}, run));
    plain = run = "";
  };
  words.forEach((word, place) => {
    // Spaces are marked only between marked words.
    const inside = fresh.has(place) && (word.trim() || (run && fresh.has(place + 1)));
    if (inside) { if (plain) flush(); run += word; }
    else { if (run) flush(); plain += word; }
  });
  flush();
  return block;
}

function facts(answer) {
  const list = make("dl", {});
  const add = (name, value) => list.append(make("dt", {}, name), make("dd", {}, value));
  data.scorers.forEach((name, place) => {
    const score = answer[SCORES][place], value = valueOf(score);
    const said = value !== null ? Math.round(value * 1000) / 10 + " %" : `not scored: ${score[0]}`;
    const reason = Array.isArray(score) && score[1] ? `\n${score[1]}` : "";
    add(name, said + reason);
  });
  if (answer[ERROR] !== null) add("error", answer[ERROR]);
  const effort = [answer[SECONDS] === null ? null : `${answer[SECONDS]} s`,
    answer[TOKENS] === null ? null : `${answer[TOKENS]} tokens`,
    answer[COST] === null ? "cost unknown" : answer[COST] === 0 ? "free" : `$${answer[COST]}`];
  add("took", effort.filter((part) => part !== null).join(", "));
  add("trace", answer[TRACE]);
  return list;
}

function chooser(name, entries, chosen, onchange) {
  const id = `choose-${name.replace(/\W/g, "")}`;
  const box = make("select", {id, onchange: () => {
    onchange(Number(box.value));
    fill();
    $(id).focus();
  }});
  options(box, entries);
  box.value = chosen;
  return make("span", {}, make("label", {for: id}, name + " "), box);
}

function fill() {
  const row = state.shown[state.open];
  $("reader-title").textContent = `Row ${row.id}`;
  $("earlier").disabled = state.open === 0;
  $("later").disabled = state.open === state.shown.length - 1;
  const asked = [make("h3", {}, "Question"), make("div", {class: "text"}, row.q)];
  if (row.x !== null) asked.push(make("h3", {}, "Context"), make("div", {class: "text"}, row.x));
  if (row.e !== null) asked.push(make("h3", {}, "Expected"), make("div", {class: "text"}, row.e));
  $("asked").replaceChildren(...asked);
  const labels = CANDIDATES;
  const repetitions = Array.from({length: data.trials}, (_, place) => [place, place + 1]);
  $("sides").replaceChildren(...[
    labels.length > 1 ? chooser("Left", labels, state.left, (n) => { state.left = n; }) : null,
    labels.length > 1 ? chooser("Right", labels, state.right, (n) => { state.right = n; }) : null,
    data.trials > 1 ? chooser("Repetition", repetitions, state.trial, (n) => { state.trial = n; }) : null,
  ].filter((part) => part !== null));
  const sides = labels.length > 1 ? [state.left, state.right] : [0];
  const answers = sides.map((candidate) => row.a[candidate][state.trial]);
  const both = answers.length === 2 && answers[0] && answers[1];
  const changed = both ? differences(answers[0][TEXT], answers[1][TEXT]) : null;
  $("compared").replaceChildren(...sides.map((candidate, side) => {
    const answer = answers[side];
    const title = make("h3", {}, data.candidates[candidate]);
    if (!answer) return make("section", {}, title, make("p", {}, "This row was not reached."));
    const text = changed ? marked(changed[side]) : make("div", {class: "text"}, answer[TEXT]);
    return make("section", {}, title, text, facts(answer));
  }));
  if (both) {
    const note = !changed ? "The answers are too long to mark their differences."
      : changed[0][1].size + changed[1][1].size ? "Words that differ are underlined and marked."
        : "Both answers are the same.";
    $("sides").append(make("span", {class: "quiet"}, note));
  }
}

function read(place) {
  state.open = place;
  fill();
  if (!$("reader").open) $("reader").showModal();
  $("reader").scrollTop = 0;
}
$("earlier").addEventListener("click", () => read(state.open - 1));
$("later").addEventListener("click", () => read(state.open + 1));
$("shut").addEventListener("click", () => $("reader").close());
$("reader").addEventListener("close", () => {
  // Back to where reading stopped.
  const page = Math.floor(state.open / PAGE);
  if (page !== state.page) { state.page = page; show(); }
  opener(state.open).focus();
});

$("theme").addEventListener("change", () => {
  if ($("theme").value) document.documentElement.dataset.theme = $("theme").value;
  else delete document.documentElement.dataset.theme;
});

select();
