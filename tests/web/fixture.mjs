// fixture.mjs DIST [PORT] - the page's files and a service of invented answers, for tests of the page alone.
//
// Same headers as the service. Everything is computed from a seed, so that two runs show the same.
import { readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const CSP = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
const TYPES = { html: "text/html; charset=utf-8", js: "text/javascript", css: "text/css", svg: "image/svg+xml" };
export const IDS = {
  verified: "0b9a2f0e-7c1d-4b7e-9d57-1f0c5a3e8b01",
  running: "0b9a2f0e-7c1d-4b7e-9d57-1f0c5a3e8b02",
  infeasible: "0b9a2f0e-7c1d-4b7e-9d57-1f0c5a3e8b03",
  large: "0b9a2f0e-7c1d-4b7e-9d57-1f0c5a3e8b04",
};
const MEASUREMENT = (i) => `5d1f7a30-0000-4000-8000-${String(i).padStart(12, "0")}`;
const ago = (s) => new Date(Date.now() - s * 1000).toISOString();

function random(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

// ---- networks: MobileNetV3's widths and strides, options by chance ----

const STAGES = [[24, 2, "relu", false], [40, 2, "relu", true], [80, 2, "hswish", false], [112, 1, "hswish", true], [160, 2, "hswish", true]];

function blocksOf(id) {
  const rnd = random(id);
  const pick = (...options) => options[Math.floor(rnd() * options.length)];
  let [h, c] = [224, 3];
  const blocks = [];
  const add = (stage, slot, name, kernel, expand, stride, se, act, co) => {
    const ho = Math.ceil(h / stride);
    const mid = Math.round(c * (expand ?? 1));
    const macs = h * h * c * mid + ho * ho * mid * kernel * kernel + ho * ho * mid * co;
    const params = c * mid + mid * kernel * kernel + mid * co;
    blocks.push({ stage, slot, name, kernel, expand, stride, se, act, in: [h, h, c], out: [ho, ho, co], macs, params, latency_ms: macs / 2.6e7 + 0.08 });
    [h, c] = [ho, co];
  };
  add(-1, -1, "stem", 3, 1, 2, false, "hswish", 16);
  add(-1, -1, "first", 3, 1, 1, false, "relu", 16);
  STAGES.forEach(([width, stride, act, se], s) => {
    const depth = pick(2, 3, 4);
    for (let b = 0; b < depth; b++) add(s, b, "block", pick(3, 5, 7), pick(3, 4, 6), b ? 1 : stride, se, act, width);
  });
  add(5, -1, "head", 1, 6, 1, false, "hswish", 960);
  Object.assign(blocks.at(-1), { out: [1, 1, 1280], latency_ms: 1.1, macs: 9.2e7 });
  return blocks;
}

const noise = (rnd) => (rnd() + rnd() + rnd() - 1.5) / 1.5;
const bestAt = (ms) => 82.6 - 17 * Math.exp(-ms / 9);

function metricsOf(ms, accuracy, measured) {
  const latency = measured
    ? { value: ms * 1.02, kind: "measured", interval: [ms * 1.005, ms * 1.035], measurements: [MEASUREMENT(1)], predicted: ms }
    : { value: ms, kind: "predicted", interval: [ms * 0.955, ms * 1.045] };
  const computed = (value) => ({ value: Math.round(value), kind: "computed" });
  return {
    latency_ms: latency,
    accuracy: { value: accuracy, kind: "predicted", interval: [accuracy - 0.6, accuracy + 0.6] },
    macs: computed(1.4e7 * ms), params: computed(3.4e6 + 1.1e5 * ms), size_bytes: computed(1.36e7 + 4.4e5 * ms),
    peak_memory_bytes: computed(2.2e6 + 9e4 * ms),
  };
}

function candidatesOf(search, n, from) {
  const rnd = random(7);
  return Array.from({ length: n }, (_, i) => {
    const ms = 9 + (36 * i) / n + rnd() * 0.05;
    const measured = ms > 19 && ms < 19.4;
    const id = from + i;
    return {
      id, search, number: 120 + i * 97, role: measured ? "verify" : "front",
      architecture: { space: "ofa-mbv3-w1.0", id: (id * 2654435761).toString(16).padStart(32, "3f9c"), options: { resolution: "224", "s1.depth": "3", "s1.b1.kernel": "5" } },
      metrics: metricsOf(ms, bestAt(ms) - 0.03 * rnd(), measured),
    };
  });
}

// ---- searches ----

const FRONTS = new Map([
  [IDS.verified, candidatesOf(IDS.verified, 300, 1000)],
  [IDS.running, candidatesOf(IDS.running, 24, 2000)],
  [IDS.infeasible, candidatesOf(IDS.infeasible, 3, 3000)],
  [IDS.large, candidatesOf(IDS.large, 300, 4000)],
]);
// Measured in too few blocks: its median is bounded on one side.
const nearest = FRONTS.get(IDS.infeasible)[2];
nearest.metrics.latency_ms = { value: 11.9, kind: "measured", interval: [11.7, null], measurements: [MEASUREMENT(1)], predicted: 11.5 };
const SAMPLES = new Map([[IDS.verified, 10000], [IDS.running, 800], [IDS.infeasible, 40], [IDS.large, 99700]]);
const ask = (more) => ({
  space: "ofa-mbv3-w1.0", device: "this-machine", objective: { maximize: "accuracy" }, constraints: [{ metric: "latency_ms", max: 20 }],
  controller: { name: "evolution", seed: 1 }, budget: { evaluations: 50000 }, verify: { top_k: 3, rounds: 3 }, ...more,
});
const verification = (candidate, predicted, holds) => ({
  candidate, architecture_id: "3f9c", predicted_ms: predicted, median_ms: predicted * 1.02, upper_ms: predicted * 1.035,
  holds, visits: 2, stable_visits: 2, asked_visits: 3, blocks: 20, round: 1,
});

function answerOf(id) {
  const best = FRONTS.get(id).find((c) => c.role === "verify");
  const predicted = best.metrics.latency_ms.predicted;
  return { candidate: best.id, architecture: best.architecture, metrics: best.metrics, verified: true, verification: { ...verification(best.id, predicted, true), limit_ms: 20 } };
}

function searches() {
  const base = (id, state, outcome, seconds, more) => ({
    id, state, outcome, created: ago(seconds), updated: ago(seconds - 4), finished: outcome && ago(seconds - 5), evaluations: 50000,
    best: { accuracy: 80.63, latency_ms: 19.41 }, snapshot: "9f2c44b1aa77c0de9f2c44b1aa77c0de", round: 1, message: "", warnings: [], problem: null,
    progress: { done: 50000, total: 50000, unit: "evaluations", eta_s: null }, verifications: [], seconds: 0.41, ...ask(), ...more,
  });
  const verified = (id, seconds, more) => base(id, "finished", "verified", seconds, {
    answer: answerOf(id), message: "1 of 3 candidates holds the limit on this-machine",
    verifications: [verification(answerOf(id).candidate + 1, 19.8, false), verification(answerOf(id).candidate, 19.1, true)], ...more,
  });
  return [
    base(IDS.running, "running", null, 3, {
      constraints: [{ metric: "latency_ms", max: 26 }, { metric: "size_bytes", max: 3e7 }],
      controller: { name: "reinforce", seed: 1, reward: "hard" }, evaluations: 12000, round: 0, answer: null, best: null,
      message: "searching: 12,000 of 50,000 evaluations", progress: { done: 12000, total: 50000, unit: "evaluations", eta_s: 3.1 }, seconds: 0.1,
    }),
    verified(IDS.verified, 300, {}),
    base(IDS.infeasible, "finished", "infeasible", 4000, {
      constraints: [{ metric: "latency_ms", max: 12 }, { metric: "accuracy", min: 80 }], best: null, label: "Doorbell camera", round: 0,
      nearest, ranges: RANGES, together: TOGETHER, message: "no network holds both limits", warnings: ["12 ms is within the error of the fastest network"],
    }),
    verified(IDS.large, 90000, { label: "A hundred thousand points", evaluations: 1e6 }),
  ];
}
const RANGES = { latency_ms: { min: 8.42, max: 63.1 }, accuracy: { min: 71.2, max: 82.4 }, size_bytes: { min: 1.52e7, max: 5.1e7 } };
const TOGETHER = [
  { metric: "latency_ms", max: 12, reaches: 16.2, proved: false }, { metric: "accuracy", min: 80, reaches: 77.31, proved: false },
];

const item = ({ id, space, device, label, state, outcome, created, updated, finished, evaluations, best, objective, constraints }) =>
  ({ id, space, device, label, state, outcome, created, updated, finished, evaluations, best, objective, constraints });

function points(id, x, y) {
  const columns = { x: [], y: [], id: [], role: [], kind: [] };
  const add = (metrics, cid, role) => {
    columns.x.push(metrics[x].value);
    columns.y.push(metrics[y].value);
    columns.id.push(cid);
    columns.role.push(role);
    columns.kind.push(cid && metrics.latency_ms.kind === "measured" ? "measured" : "predicted");
  };
  for (const c of FRONTS.get(id)) add(c.metrics, c.id, c.role);
  const rnd = random(11);
  for (let i = 0; i < SAMPLES.get(id); i++) {
    const ms = 9.5 + 42 * rnd() * (0.4 + 0.6 * rnd());
    add(metricsOf(ms, bestAt(ms) - 0.25 - 4.2 * Math.abs(noise(rnd)) * rnd(), false), null, "sample");
  }
  return columns;
}

function history() {
  const evaluations = Array.from({ length: 60 }, (_, i) => Math.round(10 ** (1 + (3.7 * i) / 59)));
  return { evaluations, best: evaluations.map((n) => (n < 14 ? null : 80.63 - 6 / Math.log10(n) ** 2.5)) };
}

// ---- devices, measurements, spaces ----

const device = (name, more) => ({
  name, info: { cpu: "Intel(R) Xeon(R) Processor @ 2.70GHz", isa: "avx512", threads: 1, runtime: "tailor", os: "Debian GNU/Linux 12", kernel: "6.1.0", cores: 2 },
  created: ago(9e5), seen: ago(4), online: true, anchor_reference_ms: 21.38,
  models: [{ space: "ofa-mbv3-w1.0", hash: "aa12", created: ago(8e5), networks: 60, blocks: 210, mape: 2.13, spearman: 0.991, half_width: 0.045 }],
  jobs: { queued: 0, leased: 0, done: 41, failed: 0 }, profile: null, ...more,
});
const DEVICES = [
  device("this-machine", {}),
  device("rack3-pi", { info: { cpu: "Cortex-A72", isa: "neon", threads: 4 }, models: [], jobs: { queued: 12, leased: 1, done: 8, failed: 1 }, profile: { done: 52, total: 180 } }),
  device("note10", { info: null, online: false, seen: null, anchor_reference_ms: null, models: [{ ...device("x").models[0], mape: null, spearman: null, half_width: null, networks: 0, blocks: 5215 }], jobs: { queued: 0, leased: 0, done: 0, failed: 0 } }),
];

function measurement(i) {
  const stable = i % 7 !== 3;
  const ratio = 0.6 + (i % 23) / 20;
  return {
    id: MEASUREMENT(i), device: "this-machine", job: "j", search: null, subject: i % 3 ? `224x224x3:k5e4d3-${"3567".repeat(4)}-${i}` : `block:56x56x24-e6-k5-s1-${i}`,
    kind: i % 3 ? "network" : "block", verdict: stable ? "stable" : "unstable", reason: stable ? "" : "noisy", late: i === 9, created: ago(i * 70),
    ratio, anchor_ms: 21.6, median_ms: ratio * 21.9, corrected_ms: ratio * 21.38,
  };
}

function raw(i) {
  const rnd = random(i + 1);
  const runs = (ms, n) => Array.from({ length: n }, () => Math.round(1e6 * ms * (1 + 0.012 * noise(rnd) + (rnd() > 0.99 ? 1.7 : 0))));
  return {
    ...measurement(i),
    body: {
      item_ns: Array.from({ length: 10 }, () => runs(measurement(i).median_ms, 40)), anchor_ns: Array.from({ length: 11 }, () => runs(21.6, 12)),
      started: ago(i * 70 + 3), duration_s: 2.1,
      context: { others_cpu: 0.03, steal: 0, governor: "performance", khz_before: 2700000, khz_after: 2700000, temp_c_before: null, temp_c_after: null, load1: 0.8, threads: 1, isa: "avx512", agent: "0.1.0" },
    },
  };
}

const SPACES = [
  {
    name: "ofa-mbv3-w1.0", title: "Once-for-all, MobileNetV3, width 1.0", source: "Cai et al. 2020", count: "53740250463281249725", id: "ab".repeat(16),
    resolutions: [160, 176, 192, 208, 224], accuracy_model: { format: "tailor" }, devices: ["this-machine", "note10"],
    variables: [{ name: "resolution", options: ["160", "176", "192", "208", "224"], ordered: true, parent: null, active_under: null },
      { name: "s1.depth", options: ["2", "3", "4"], ordered: true, parent: null, active_under: null },
      { name: "s1.b3.kernel", options: ["3", "5", "7"], ordered: true, parent: "s1.depth", active_under: ["3", "4"] }],
  },
  { name: "nb201", title: "NAS-Bench-201", source: "Dong and Yang 2020", count: "15625", id: "cd".repeat(16), resolutions: [32], accuracy_model: null, devices: [], variables: [] },
];

const CONTROLLERS = {
  controllers: [
    { name: "auto", help: "chosen by evidence", rewards: false },
    { name: "evolution", help: "once-for-all's: 25 parents, 50 mutants and 50 crossovers a generation", rewards: false },
    { name: "reinforce", help: "independent choices moved along what is rewarded", rewards: true },
  ],
  default: "auto",
  rewards: ["absolute", "soft", "hard"],
};

// ---- the service ----

const problem = (status, detail, pointer, more) => ({
  status, type: "application/problem+json",
  body: { type: "about:blank", title: { 404: "Not found", 409: "Conflict", 422: "Invalid" }[status], status, detail, ...(pointer && { errors: [{ pointer, detail }] }), ...more },
});
const page = (items, url) => {
  const [from, size] = [Number(url.searchParams.get("page_token") ?? 0), Number(url.searchParams.get("page_size") ?? 100)];
  return { items: items.slice(from, from + size), next_page_token: from + size < items.length ? String(from + size) : null };
};

function postSearch(body) {
  const at = body.constraints.findIndex((c) => c.metric === "latency_ms" && c.max < RANGES.latency_ms.min);
  if (!Number.isInteger(body.controller.seed)) return problem(422, "must be an integer", "/controller/seed");
  if (body.constraints.some((c) => c.metric === "macs" && c.min)) {
    const together = [{ metric: "latency_ms", max: 18.5, reaches: 22.4, proved: true }, { metric: "macs", min: 5e8, reaches: 4.1e8, proved: true }];
    return problem(422, "no network of the space holds these limits together", "/constraints", { ranges: RANGES, together });
  }
  if (at >= 0) {
    return problem(422, `no network of ${body.space} is this quick on ${body.device}; the quickest takes 8.42 ms`, `/constraints/${at}/max`, { ranges: RANGES });
  }
  return { status: 202, body: searches()[0], location: `/search/${IDS.running}` };
}

function answer(method, url, body, state) {
  const [room, id, sub] = url.pathname.slice(1).split("/");
  const found = searches().find((s) => s.id === id?.split(":")[0]);
  const key = `${method} ${room}${id ? "/{}" : ""}${sub ? `/${sub}` : ""}`;
  switch (key) {
    case "GET search": return page(state.empty ? [] : searches().map(item), url);
    case "POST search": return postSearch(body);
    case "POST search/{}": state.cancelled = true; return found ?? problem(404, "no such search");
    case "GET search/{}": return found ?? problem(404, `no search has the id ${id}`);
    case "GET search/{}/front": return page(FRONTS.get(id), new URL("x:/?page_size=1000"));
    case "GET search/{}/points": return points(id, url.searchParams.get("x"), url.searchParams.get("y"));
    case "GET search/{}/history": return history();
    case "GET candidates/{}": {
      const c = [...FRONTS.values()].flat().find((x) => x.id === Number(id));
      return c ? { ...c, network: { resolution: 224, blocks: blocksOf(c.id) } } : problem(404, `no candidate is numbered ${id}`);
    }
    case "GET devices": return page(state.empty ? [] : DEVICES, url);
    case "GET devices/{}": return DEVICES.find((d) => d.name === id) ?? problem(404, `no device is called ${id}`);
    case "GET controllers": return CONTROLLERS;
    case "GET spaces": return page(SPACES, url);
    case "GET measurements": return page(Array.from({ length: 120 }, (_, i) => measurement(i)).filter((m) => m.kind === (url.searchParams.get("kind") ?? m.kind)), url);
    case "GET measurements/{}": return raw(Number(id.slice(-6)));
    case "POST jobs": state.profiled = body; return problem(409, `${body.device} is being profiled already`);
  }
  return problem(404, `nothing is at ${url.pathname}`);
}

function asset(dist, url) {
  const name = url.pathname === "/" ? "index.html" : url.pathname.slice(1);
  if (!readdirSync(dist).includes(`${name}.gz`)) return undefined;
  return { bytes: readFileSync(join(dist, `${name}.gz`)), type: TYPES[name.split(".").pop()] };
}

const LONG = { "this-machine": "x".repeat(64), "ofa-mbv3-w1.0": "s".repeat(60), "Doorbell camera": "Doorbell".repeat(25), "Cortex-A72": "c".repeat(200) };

/** -> { url, state, close() }. state.empty: a service that knows nothing yet; state.long: names as long as they may be. */
export function startFixture(dist, port = 0) {
  const state = { empty: false, long: false };
  const server = createServer(async (request, response) => {
    const url = new URL(request.url, "http://localhost");
    let text = "";
    for await (const chunk of request) text += chunk;
    response.setHeader("Content-Security-Policy", CSP);
    response.setHeader("X-Content-Type-Options", "nosniff");
    response.setHeader("Referrer-Policy", "no-referrer");
    const file = asset(dist, url);
    if (file) return response.writeHead(200, { "Content-Type": file.type, "Content-Encoding": "gzip" }).end(file.bytes);
    const result = answer(request.method, url, text && JSON.parse(text), state);
    const made = result.body !== undefined && typeof result.status === "number";
    response.writeHead(made ? result.status : 200, {
      "Content-Type": (made && result.type) || "application/json", ...(result.location && { Location: result.location }),
    });
    const names = Object.entries(state.long ? LONG : {});
    response.end(names.reduce((json, [name, long]) => json.replaceAll(name, long), JSON.stringify(made ? result.body : result)));
  });
  return new Promise((resolve) =>
    server.listen(port, "127.0.0.1", () =>
      resolve({ url: `http://127.0.0.1:${server.address().port}`, state, close: () => server.close() })));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  console.log((await startFixture(process.argv[2], Number(process.argv[3] ?? 0))).url);
}
