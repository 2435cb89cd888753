// new_search_draft.ts - what stands in the form, as text, and the request that it makes.
import type { Device, Metric, Objective, Search, SearchRequest, Space } from "../api_types";
import { METRICS, objectiveMetrics, raw, shown } from "../format";

export interface Row {
  metric: Metric;
  side: "max" | "min";
  bound: string; // in the page's unit; empty: no limit
}
export interface Draft {
  space: string;
  device: string; // "": none
  objective: Metric;
  also: Metric[]; // further objectives; the objective itself does not count
  rows: Row[];
  controller: string; // "": the service's default
  reward: string; // "": the default
  seed: string;
  evaluations: string;
  seconds: string;
  verify: boolean;
  topK: string;
  rounds: string;
  label: string;
  evaluate?: SearchRequest["evaluate"]; // of the search that is made again: stays as it was
}

const usual = { controller: "", reward: "", seed: "1", evaluations: "50000", seconds: "", verify: true, topK: "3", rounds: "3", label: "" };

export function emptyDraft(query: URLSearchParams, spaces: Space[], devices: Device[]): Draft {
  const device = query.get("device") ?? devices.find((d) => d.online)?.name ?? devices[0]?.name ?? "";
  const known = spaces.find((s) => s.devices.includes(device)) ?? spaces[0];
  const rows: Row[] = [{ metric: device ? "latency_ms" : "macs", side: "max", bound: "" }];
  return { ...usual, space: query.get("space") ?? known?.name ?? "", device, objective: "accuracy", also: [], rows };
}

export function draftOf(search: Search): Draft {
  const rows = (search.constraints ?? []).flatMap((limit): Row[] =>
    (["max", "min"] as const).filter((side) => limit[side] !== undefined)
      .map((side) => ({ metric: limit.metric, side, bound: String(Number(shown(limit.metric, limit[side] ?? 0).toPrecision(12))) })));
  const verify = typeof search.verify === "object" ? search.verify : {};
  const [objective, ...also] = objectiveMetrics(search);
  return {
    space: search.space,
    device: search.device ?? "",
    objective,
    also,
    rows,
    controller: search.controller?.name ?? usual.controller,
    reward: search.controller?.reward ?? usual.reward,
    seed: String(search.controller?.seed ?? 1),
    evaluations: String(search.budget?.evaluations ?? usual.evaluations),
    seconds: String(search.budget?.seconds ?? ""),
    verify: search.verify !== false,
    topK: String(verify.top_k ?? 3),
    rounds: String(verify.rounds ?? 3),
    label: search.label ?? "",
    ...(search.evaluate && { evaluate: search.evaluate }),
  };
}

/** A number where it is one; what is not goes to the server as it stands, which says what is wrong with it. */
function numberOr(text: string): number {
  const value = Number(text.trim().replace(",", "."));
  return Number.isFinite(value) ? value : (text as unknown as number);
}

/** The request, and for each row of the form the place of its limit in it (rows without a bound have none). */
export function requestOfDraft(draft: Draft): { request: SearchRequest; places: (number | undefined)[] } {
  let n = 0;
  const places = draft.rows.map((row) => (row.bound.trim() === "" ? undefined : n++));
  const constraints = draft.rows.filter((row) => row.bound.trim() !== "").map((row) => {
    const bound = numberOr(row.bound);
    return { metric: row.metric, [row.side]: typeof bound === "number" ? raw(row.metric, bound) : bound };
  });
  const goal = (m: Metric): Objective => (METRICS[m].more ? { maximize: m } : { minimize: m });
  const also = draft.also.filter((m) => m !== draft.objective);
  const request: SearchRequest = {
    space: draft.space,
    ...(draft.device && { device: draft.device }),
    ...(draft.label.trim() && { label: draft.label.trim() }),
    ...(also.length > 0 ? { objectives: [draft.objective, ...also].map(goal) } : { objective: goal(draft.objective) }),
    constraints,
    controller: { name: draft.controller, seed: numberOr(draft.seed || "1"), ...(draft.reward && { reward: draft.reward }) },
    budget: {
      ...(draft.evaluations.trim() && { evaluations: numberOr(draft.evaluations) }),
      ...(draft.seconds.trim() && { seconds: numberOr(draft.seconds) }),
    },
    ...(draft.evaluate && { evaluate: draft.evaluate }),
    verify: draft.device && draft.verify ? { top_k: numberOr(draft.topK), rounds: numberOr(draft.rounds) } : false,
  };
  return { request, places };
}
