// api_types.ts - the service's documents, as far as the page reads them.

export type Metric = "accuracy" | "latency_ms" | "macs" | "params" | "size_bytes" | "peak_memory_bytes";
export type Kind = "computed" | "predicted" | "measured" | "tabulated" | "evaluated";

/** An end that is not known is null: too few measurements bound it. */
export type Interval = [number | null, number | null];

export interface Value {
  value: number;
  kind: Kind;
  interval?: Interval | null;
  note?: string; // why there is no interval, or what was corrected
  predicted?: number; // beside a measured value
  by?: string; // the workers that gave an evaluated value
}
export type Metrics = Partial<Record<Metric, Value>>;

export interface Page<T> {
  items: T[];
  next_page_token: string | null;
}

export interface Problem {
  title: string;
  status: number;
  detail?: string;
  errors?: { pointer: string; detail: string }[];
  ranges?: Ranges;
  together?: Together;
}
export type Ranges = Partial<Record<Metric, { min: number; max: number }>>;
/** What each limit can be where the others hold. */
export type Together = (Limit & { reaches: number | null; proved: boolean })[];

export interface Variable {
  name: string;
  options: string[];
  ordered: boolean;
  parent: string | null;
  active_under: string[] | null;
}
export interface Space {
  name: string;
  title: string;
  source: string;
  count: string; // more than a number holds
  id: string;
  resolutions: number[];
  variables: Variable[];
  buildable?: boolean; // false: no network of it can be built, its values come from a table
  accuracy_model: Record<string, unknown> | null;
  table?: { rows: number; source: string } | null;
  devices: string[];
}

export interface Limit {
  metric: Metric;
  device?: string; // whose latency, where there are several
  max?: number;
  min?: number;
}
export type Objective = { maximize: Metric } | { minimize: Metric; device?: string };

/** What is POSTed to /search. */
export interface SearchRequest {
  space: string;
  device?: string;
  devices?: string[]; // in its place: one network for all of these
  label?: string;
  objective?: Objective;
  objectives?: Objective[]; // in its place: the front spans exactly these
  constraints?: Limit[];
  controller?: { name: string; seed: number; reward?: string };
  budget?: { evaluations?: number; seconds?: number };
  evaluate?: { by: string; metrics: Metric[] }; // by workers
  verify?: { top_k?: number; rounds?: number } | boolean;
}

export interface Controllers {
  controllers: { name: string; help: string; rewards: boolean }[];
  default: string;
  rewards: string[]; // the first is the default
}

export type State =
  | "queued" | "profiling" | "running" | "verifying" | "waiting_for_device" | "evaluating" | "finished" | "failed" | "cancelled";
export type Outcome = "verified" | "unverified" | "predicted" | "tabulated" | "evaluated" | "infeasible" | "none_found";

export interface SearchItem extends SearchRequest {
  id: string;
  state: State;
  outcome: Outcome | null;
  created: string;
  updated: string;
  finished: string | null;
  evaluations: number;
  best: Partial<Record<Metric, number | null>> | null; // accuracy and each latency
}

export interface Verification {
  candidate: number;
  device?: string; // where there are several
  visits: number;
  stable_visits: number;
  asked_visits: number;
  blocks: number;
  median_ms: number | null;
  upper_ms: number | null;
  holds: boolean;
  predicted_ms?: number | null;
  round?: number;
}
export interface Answer {
  candidate: number;
  metrics: Metrics;
  verified: boolean;
  verification: Verification | null;
}
export interface Progress {
  done: number;
  total: number | null;
  unit: string;
  eta_s: number | null;
}
export interface Search extends SearchItem {
  snapshot: string | null;
  round: number;
  message: string;
  warnings: string[];
  problem: { detail?: string } | null;
  progress: Progress | null;
  answer?: Answer | null;
  verifications: Verification[];
  nearest?: Candidate | null;
  ranges?: Ranges;
  together?: Together;
  seconds: number | null;
}

export type Role = "front" | "sample" | "verify" | "archive";
export interface Candidate {
  id: number;
  number: number;
  role: Role;
  architecture: { space: string; id: string; options: Record<string, string> };
  metrics: Metrics;
}
export interface Block {
  stage: number; // -1 before the stages, as many as there are stages behind them
  slot: number; // -1 outside stages
  name: string;
  kernel: number;
  expand: number | null;
  stride: number;
  se: boolean;
  act: string;
  in: [number, number, number]; // height, width, channels
  out: [number, number, number];
  macs: number;
  params: number;
  latency_ms: number | null;
}
export interface CandidateDetail extends Candidate {
  network: { blocks: Block[] };
  artifacts?: string[]; // names under /candidates/{id}/artifacts/
}

/** Columns: one entry a point. A point of the sample has no id. */
export interface Points {
  x: number[];
  y: number[];
  id: (number | null)[];
  role: Role[];
  kind: Kind[];
}
export interface History {
  evaluations: number[];
  best: (number | null)[];
}

export interface DeviceModel {
  space: string;
  hash: string;
  created: string;
  networks?: number;
  blocks?: number;
  mape?: number | null; // per cent; imported models know none
  spearman?: number | null;
  half_width?: number | null; // a fraction
}
export interface Device {
  name: string;
  info: Record<string, unknown> | null;
  created: string;
  seen: string | null;
  online: boolean;
  state: "active" | "quarantined" | "draining"; // the two others get no work
  state_reason: string | null;
  state_since: string | null;
  anchor_reference_ms: number | null;
  models: DeviceModel[];
  jobs: { queued: number; leased: number; done: number; failed: number };
  profile: { done: number; total: number } | null; // done = total: the last one has ended
}

export interface Measurement {
  id: string;
  subject: string;
  kind: "network" | "block";
  verdict: string;
  reason: string | null;
  late: boolean;
  created: string;
  ratio: number | null;
  anchor_ms: number | null;
  median_ms: number | null;
  corrected_ms: number | null;
}
export interface MeasurementDetail extends Measurement {
  body: {
    item_ns: number[][];
    anchor_ns: number[][]; // one block more: anchors stand on both sides
    started: string;
    duration_s: number;
    context: Record<string, string | number | null>;
  };
}
