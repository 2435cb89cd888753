// metric_card.tsx - one value: how much, what kind of knowledge it is, how far off it may be, and the limit on it.
import type { Limit, Metric, Metrics, Value } from "../api_types";
import { boundText, intervalText, METRICS, metricText, nameOf, namesIn, shown } from "../format";
import { Mark } from "./marks";

/** All metrics there are, those of the question first. */
export function MetricCards({ metrics, limits, objective }: { metrics: Metrics; limits: Limit[]; objective: Metric }) {
  const on = (name: Metric): Limit[] => limits.filter((l) => nameOf(l.metric, l.device) === name);
  const asked = (name: Metric): number => (name === objective || on(name).length > 0 ? 0 : 1);
  const names = namesIn(metrics).sort((a, b) => asked(a) - asked(b));
  return (
    <div class="cards">
      {names.map((m) => <MetricCard key={m} metric={m} value={metrics[m]!} limits={on(m)} />)}
    </div>
  );
}

function MetricCard({ metric, value, limits }: { metric: Metric; value: Value; limits: Limit[] }) {
  const { interval } = value;
  return (
    <div class="card">
      <h3>{METRICS[metric].label}</h3>
      <p class="value">{metricText(metric, value.value, false)} <span class="unit">{METRICS[metric].unit}</span></p>
      <p class="kind"><Mark kind={value.kind} /> {value.kind}</p>
      <p class="range">
        {interval ? intervalText(metric, interval) : value.kind === "predicted" ? value.note ?? "no known error" : ""}
      </p>
      {limits.length > 0 && <Gauge metric={metric} value={value} limits={limits} />}
      {limits.map((limit) => <LimitLine key={`${limit.max}:${limit.min}`} limit={limit} value={value} />)}
    </div>
  );
}

/** Does a bound hold, when the value may lie anywhere in its interval? */
function verdict(value: Value, sign: "≤" | "≥", bound: number): "holds" | "perhaps" | "broken" {
  const within = (v: number): boolean => (sign === "≤" ? v <= bound : v >= bound);
  if (!within(value.value)) return "broken";
  if (value.kind === "computed" || value.kind === "tabulated" || value.kind === "evaluated") return "holds";
  const far = value.interval?.[sign === "≤" ? 1 : 0];
  return far !== null && far !== undefined && within(far) ? "holds" : "perhaps";
}

function LimitLine({ limit, value }: { limit: Limit; value: Value }) {
  const bounds = [[limit.max, "≤"], [limit.min, "≥"]] as const;
  const signs = { holds: ["good", "✓", ""], perhaps: ["warn", "≈", ", not surely"], broken: ["bad", "✕", ""] } as const;
  return (
    <>
      {bounds.map(([bound, sign]) => {
        if (bound === undefined) return null;
        const [tone, mark, more] = signs[verdict(value, sign, bound)];
        return <p class={`limit ${tone}`}>{mark} limit {sign} {boundText(limit.metric, bound)}{more}</p>;
      })}
    </>
  );
}

/** The value and its interval on a line with the limit, so that one sees how close it is. */
function Gauge({ metric, value, limits }: { metric: Metric; value: Value; limits: Limit[] }) {
  const bounds = limits.flatMap((l) => [l.max, l.min].filter((b) => b !== undefined)).map((b) => shown(metric, b));
  const [low, high] = (value.interval ?? [null, null]).map((v) => shown(metric, v ?? value.value)) as [number, number];
  const least = Math.min(low, ...bounds);
  const most = Math.max(high, ...bounds);
  const air = (most - least || most || 1) * 0.25;
  const at = (v: number): string => `${(100 * (v - least + air)) / (most - least + 2 * air)}%`;
  return (
    <div class="gauge" aria-hidden="true">
      <i class="band" style={{ left: at(low), right: `calc(100% - ${at(high)})` }} />
      <i class={`dot ${value.kind}`} style={{ left: at(shown(metric, value.value)) }} />
      {bounds.map((b) => <i class="tick" style={{ left: at(b) }} />)}
    </div>
  );
}
