// repeats.tsx - every run of one measurement, in the order in which they were timed: anchor and item in turn.
import type { MeasurementDetail } from "../api_types";
import { duration, number } from "../format";

const RUNS_SHOWN = 60; // of a block, evenly spread; a block of a quick network has thousands
const WIDTH = 760;
const HEIGHT = 220;
const LEFT = 52;

interface Run {
  x: number;
  ms: number;
  anchor: boolean;
}

const median = (values: number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;

function runsOf(body: MeasurementDetail["body"]): Run[] {
  const blocks = body.anchor_ns.flatMap((anchor, i) => [
    { ns: anchor, anchor: true }, ...(body.item_ns[i] ? [{ ns: body.item_ns[i], anchor: false }] : []),
  ]);
  const wide = (WIDTH - LEFT) / Math.max(1, blocks.length);
  return blocks.flatMap((block, b) => {
    const n = Math.min(RUNS_SHOWN, block.ns.length);
    return Array.from({ length: n }, (_, k) => ({
      x: LEFT + wide * (b + 0.12 + (0.76 * (k + 0.5)) / n),
      ms: (block.ns[Math.floor((k * block.ns.length) / n)] ?? 0) / 1e6,
      anchor: block.anchor,
    }));
  });
}

/** One stalled run must not press all others flat: what lies far above the medians is drawn on the upper edge. */
function rangeOf(runs: Run[]): [number, number] {
  const medians = [true, false].map((anchor) => median(runs.filter((r) => r.anchor === anchor).map((r) => r.ms)));
  const all = runs.map((r) => r.ms);
  const low = 0.97 * Math.min(...all);
  return [low, Math.max(low * 1.01, Math.min(1.01 * Math.max(...all), 1.3 * Math.max(...medians)))];
}

export function Repeats({ measurement }: { measurement: MeasurementDetail }) {
  const { body } = measurement;
  const runs = runsOf(body);
  const [low, high] = rangeOf(runs);
  const y = (ms: number): number => 8 + ((HEIGHT - 16) * (high - Math.min(ms, high))) / (high - low);
  const at = (part: number): number => low + part * (high - low);
  const count = body.item_ns.reduce((n, block) => n + block.length, 0);
  const context = Object.entries(body.context).filter(([, value]) => value !== null);
  return (
    <section class="panel repeats">
      <h2>{measurement.subject}</h2>
      <p class="muted">
        {count} runs in {body.item_ns.length} blocks between {body.anchor_ns.length} of the anchor, {duration(body.duration_s)},{" "}
        {new Date(body.started).toLocaleString()}; ratio to the anchor {number(measurement.ratio)}
      </p>
      <ul class="legend"><li><svg class="mark" viewBox="0 0 12 12" width="12" height="12"><circle class="item" cx="6" cy="6" r="3" /></svg> this {measurement.kind}</li>
        <li><svg class="mark" viewBox="0 0 12 12" width="12" height="12"><path class="anchor" d="M3 9h6L6 3z" /></svg> the device's anchor</li></ul>
      <div class="scroll" tabIndex={0} role="region" aria-label="Runs"><svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} class="strip" role="img" aria-label={`Milliseconds of each run in order; median ${number(measurement.median_ms)} ms`}>
        {[0, 0.25, 0.5, 0.75, 1].map((part) => (
          <g key={part}><line x1={LEFT} x2={WIDTH} y1={y(at(part))} y2={y(at(part))} /><text x={LEFT - 6} y={y(at(part)) + 4}>{number(at(part), 3)}</text></g>
        ))}
        {runs.map((r, i) => r.anchor
          ? <path key={i} class="anchor" d={`M${r.x - 2} ${y(r.ms) + 1.6}h4l-2-3.6z`} />
          : <circle key={i} class="item" cx={r.x} cy={y(r.ms)} r="1.9" />)}
      </svg></div>
      <p class="muted small">milliseconds of each run, in the order of timing; far stragglers on the upper edge</p>
      <dl class="facts">{context.map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{typeof value === "number" ? number(value) : value}</dd></div>)}</dl>
    </section>
  );
}
