// format.ts - numbers, times and metrics as people read them. Units are those of the page; the API's are base units.
import type { Interval, Limit, Metric, Metrics, Objective, Ranges, SearchRequest } from "./api_types";

interface MetricInfo {
  label: string;
  unit: string;
  factor: number; // value shown = value of the API * factor
  more: boolean; // larger is better
}
const KNOWN: Record<Metric, MetricInfo> = {
  accuracy: { label: "Accuracy", unit: "%", factor: 1, more: true },
  latency_ms: { label: "Latency", unit: "ms", factor: 1, more: false },
  macs: { label: "Multiply-adds", unit: "M", factor: 1e-6, more: false },
  params: { label: "Parameters", unit: "M", factor: 1e-6, more: false },
  size_bytes: { label: "Size", unit: "MB", factor: 1e-6, more: false },
  peak_memory_bytes: { label: "Peak memory", unit: "MB", factor: 1e-6, more: false },
};
export const METRIC_NAMES = Object.keys(KNOWN) as Metric[];
/** By name. Where a search has several devices each has a latency of its own: "latency_ms@nano" is "Latency on nano". */
export const METRICS: Record<Metric, MetricInfo> = new Proxy(KNOWN, {
  get(known, name: Metric) {
    const [metric, device] = name.split("@") as [Metric, string?];
    return device && known[metric] ? { ...known[metric], label: `${known[metric].label} on ${device}` } : known[name];
  },
});
const plain = (name: string): Metric => name.split("@")[0] as Metric;
/** What any of these has, in the order of METRIC_NAMES. */
export function namesIn(...all: (Metrics | Ranges)[]): Metric[] {
  const place = (name: string): number => METRIC_NAMES.indexOf(plain(name));
  return [...new Set(all.flatMap((one) => Object.keys(one)))].sort((a, b) => place(a) - place(b)) as Metric[];
}
/** The name under which values of this metric stand. */
export const nameOf = (metric: Metric, device?: string): Metric => (device ? (`${metric}@${device}` as Metric) : metric);

export const isMetric = (name: string | null): name is Metric => name !== null && name in KNOWN;
export const shown = (metric: Metric, value: number): number => value * METRICS[metric].factor;
/** From the page's unit to the API's, without the last bits of a product: 6.1 MB is 6100000 bytes. */
export const raw = (metric: Metric, value: number): number => Number((value / METRICS[metric].factor).toPrecision(12));
export const axisLabel = (metric: Metric): string => `${METRICS[metric].label} (${METRICS[metric].unit})`;

/** Four significant digits at most, never an exponent. */
export function number(value: number | null | undefined, digits = 4): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const places = Math.max(0, digits - 1 - Math.floor(Math.log10(Math.max(Math.abs(value), 1e-9))));
  return value.toLocaleString("en", { maximumFractionDigits: Math.min(places, 6) });
}

export const integer = (value: number | undefined): string => (value ?? 0).toLocaleString("en", { maximumFractionDigits: 0 });
export const percent = (fraction: number | null | undefined, digits = 2): string =>
  fraction === null || fraction === undefined ? "–" : `${number(fraction * 100, digits)} %`;

/** A column of one metric keeps the same number of places, so that figures stand below each other. */
export function metricText(metric: Metric, value: number | null | undefined, unit = true): string {
  if (value === null || value === undefined) return "–";
  const places = metric === "accuracy" ? 2 : shown(metric, value) < 10 ? 3 : shown(metric, value) < 100 ? 2 : 1;
  const text = shown(metric, value).toLocaleString("en", { minimumFractionDigits: places, maximumFractionDigits: places });
  return unit ? `${text} ${METRICS[metric].unit}` : text;
}

export function intervalText(metric: Metric, [low, high]: Interval): string {
  if (low === null || high === null) {
    if (low !== null) return `at least ${metricText(metric, low)}`;
    return high === null ? "not bounded" : `at most ${metricText(metric, high)}`;
  }
  return `${metricText(metric, low, false)} – ${metricText(metric, high)}`;
}

export const boundText = (metric: Metric, value: number): string =>
  `${number(shown(metric, value))} ${METRICS[metric].unit}`;

export const rangeText = (metric: Metric, range: { min: number; max: number }): string =>
  `${boundText(metric, range.min)} – ${boundText(metric, range.max)}`;

export const devicesOf = (request: SearchRequest): string[] => request.devices ?? (request.device ? [request.device] : []);

/** A label within a sentence: names of devices keep their letters. */
export function labelText(name: Metric): string {
  const { label } = METRICS[name];
  return label[0]!.toLowerCase() + label.slice(1);
}

export function limitText(limit: Limit): string {
  const label = labelText(nameOf(limit.metric, limit.device));
  const parts: string[] = [];
  if (limit.max !== undefined) parts.push(`${label} ≤ ${boundText(limit.metric, limit.max)}`);
  if (limit.min !== undefined) parts.push(`${label} ≥ ${boundText(limit.metric, limit.min)}`);
  return parts.join(", ");
}

/** The objectives' metrics, first the one that decides the answer. */
export function objectiveMetrics(request: SearchRequest): [Metric, ...Metric[]] {
  const metric = (o: Objective): Metric => ("maximize" in o ? o.maximize : nameOf(o.minimize, o.device));
  const [first, ...more] = request.objectives ?? [request.objective ?? { maximize: "accuracy" }];
  return [metric(first ?? { maximize: "accuracy" }), ...more.map(metric)];
}

export const objectiveMetric = (request: SearchRequest): Metric => objectiveMetrics(request)[0];

export function objectiveText(request: SearchRequest): string {
  const text = objectiveMetrics(request).map((m) => {
    const most = METRICS[m].more ? "highest" : m === "params" || m === "macs" ? "fewest" : "lowest";
    return `${most} ${labelText(m)}`;
  }).join(", ");
  return text[0]!.toUpperCase() + text.slice(1);
}

/** 217000000000 as 2.17 × 10¹¹. */
export function big(digits: string): string {
  if (digits.length <= 9) return Number(digits).toLocaleString("en");
  const mantissa = (Number(digits.slice(0, 4)) / 1000).toFixed(1);
  const power = [...String(digits.length - 1)].map((d) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(d)]).join("");
  return `${mantissa} × 10${power}`;
}

export function duration(seconds: number): string {
  if (seconds < 1) return `${number(seconds * 1000, 2)} ms`;
  if (seconds < 60) return `${number(seconds, 2)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  if (seconds < 172800) return `${number(seconds / 3600, 2)} h`;
  return `${Math.floor(seconds / 86400)} days`;
}

export function age(time: string | null): string {
  if (time === null) return "never";
  const seconds = (Date.now() - Date.parse(time)) / 1000;
  if (seconds < 5) return "just now";
  const [unit, name] = seconds < 60 ? [1, "s"] : seconds < 3600 ? [60, "min"] : seconds < 172800 ? [3600, "h"] : [86400, "days"];
  return `${Math.floor(seconds / unit)} ${name} ago`;
}
