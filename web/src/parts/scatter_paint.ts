// scatter_paint.ts - what stands on the scatter's canvas: the sample, the front and its line, measured ones, limits.
import type uPlot from "uplot";
import type { Limit, Metric, Points } from "../api_types";
import { boundText, METRICS, shown } from "../format";
import { colour } from "../theme";

/** Points in the page's units, and who is what. */
export interface Cloud {
  x: Metric;
  y: Metric;
  xs: Float64Array;
  ys: Float64Array;
  points: Points;
  sample: number[];
  predicted: number[]; // candidates that are not measured
  measured: number[];
  front: number[]; // of the candidates: those that no other beats in these two metrics, by x
}

export function cloudOf(points: Points, x: Metric, y: Metric): Cloud {
  const n = points.x.length;
  const xs = new Float64Array(n);
  const ys = new Float64Array(n);
  const cloud: Cloud = { x, y, xs, ys, points, sample: [], predicted: [], measured: [], front: [] };
  for (let i = 0; i < n; i++) {
    xs[i] = shown(x, points.x[i] ?? NaN);
    ys[i] = shown(y, points.y[i] ?? NaN);
    if (points.kind[i] === "measured") cloud.measured.push(i);
    else (points.role[i] === "sample" ? cloud.sample : cloud.predicted).push(i);
  }
  cloud.front = front(cloud, [...cloud.predicted, ...cloud.measured]);
  return cloud;
}

function front({ x, y, xs, ys }: Cloud, candidates: number[]): number[] {
  const sx = METRICS[x].more ? -1 : 1;
  const sy = METRICS[y].more ? -1 : 1;
  const sorted = candidates.sort((a, b) => sx * (xs[a]! - xs[b]!) || sy * (ys[a]! - ys[b]!));
  const kept: number[] = [];
  let best = Infinity;
  for (const i of sorted) {
    if (sy * ys[i]! < best) {
      best = sy * ys[i]!;
      kept.push(i);
    }
  }
  return kept.sort((a, b) => xs[a]! - xs[b]!);
}

export function extent(values: Float64Array): [number, number] {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}

/** Where everything fits, with a little air; limits too, unless they lie so far away that they would press all else flat. */
export function homeRange(values: Float64Array, bounds: number[]): [number, number] {
  const [least, most] = extent(values);
  const reach = 0.5 * (most - least);
  const near = bounds.filter((bound) => bound > least - reach && bound < most + reach);
  const low = Math.min(least, ...near);
  const high = Math.max(most, ...near);
  if (!Number.isFinite(low)) return [0, 1];
  const air = (high - low || Math.abs(high) || 1) * 0.05;
  return [low - air, high + air];
}

export const boundsOf = (limits: Limit[], metric: Metric): number[] =>
  limits.filter((l) => l.metric === metric).flatMap((l) => [l.max, l.min].filter((b) => b !== undefined).map((b) => shown(metric, b)));

interface Scale {
  (value: number): number;
}

export function paint(u: uPlot, cloud: Cloud, limits: Limit[]): void {
  const { ctx, bbox } = u;
  const px = devicePixelRatio;
  const x = scale(u, "x", bbox.left, bbox.width);
  const y = scale(u, "y", bbox.top + bbox.height, -bbox.height);
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  paintSample(ctx, cloud, x, y, px);
  for (const limit of limits) paintLimit(u, cloud, limit, x, y, px);
  paintFront(ctx, cloud, x, y, px);
  const radius = (cloud.predicted.length > 100 ? 2.6 : 3.8) * px;
  paintShapes(ctx, cloud, cloud.predicted, x, y, colour("--predicted"), (cx, cy) => {
    ctx.moveTo(cx + radius, cy);
    ctx.arc(cx, cy, radius, 0, 2 * Math.PI);
  });
  paintShapes(ctx, cloud, cloud.measured, x, y, colour("--measured"), (cx, cy) => {
    const r = 6.5 * px;
    ctx.moveTo(cx, cy - r);
    ctx.lineTo(cx + r, cy);
    ctx.lineTo(cx, cy + r);
    ctx.lineTo(cx - r, cy);
    ctx.closePath();
  });
  ctx.restore();
}

function scale(u: uPlot, name: string, origin: number, length: number): Scale {
  const { min = 0, max = 1 } = u.scales[name] ?? {};
  const factor = length / ((max ?? 1) - (min ?? 0));
  return (value) => origin + (value - (min ?? 0)) * factor;
}

function paintSample(ctx: CanvasRenderingContext2D, cloud: Cloud, x: Scale, y: Scale, px: number): void {
  const side = (cloud.sample.length > 20000 ? 1.5 : 2.5) * px;
  ctx.fillStyle = colour("--sample");
  for (const i of cloud.sample) ctx.fillRect(x(cloud.xs[i]!) - side / 2, y(cloud.ys[i]!) - side / 2, side, side);
}

/** Steps: between two points of the front nothing better than the worse of both is known. */
function paintFront(ctx: CanvasRenderingContext2D, cloud: Cloud, x: Scale, y: Scale, px: number): void {
  ctx.beginPath();
  cloud.front.forEach((i, k) => {
    const before = cloud.front[k - 1];
    const [cx, cy] = [x(cloud.xs[i]!), y(cloud.ys[i]!)];
    if (before === undefined) ctx.moveTo(cx, cy);
    else if (METRICS[cloud.x].more) ctx.lineTo(x(cloud.xs[before]!), cy);
    else ctx.lineTo(cx, y(cloud.ys[before]!));
    ctx.lineTo(cx, cy);
  });
  ctx.strokeStyle = colour("--predicted");
  ctx.lineWidth = 1.2 * px;
  ctx.stroke();
}

function paintShapes(
  ctx: CanvasRenderingContext2D, cloud: Cloud, points: number[], x: Scale, y: Scale, fill: string,
  shape: (cx: number, cy: number) => void,
): void {
  ctx.beginPath();
  for (const i of points) shape(x(cloud.xs[i]!), y(cloud.ys[i]!));
  ctx.fillStyle = fill;
  ctx.fill();
  ctx.strokeStyle = colour("--panel");
  ctx.lineWidth = devicePixelRatio / 2;
  ctx.stroke();
}

/** A dashed line, its bound beside it, and a veil over what the limit forbids. */
function paintLimit(u: uPlot, cloud: Cloud, limit: Limit, x: Scale, y: Scale, px: number): void {
  const { ctx, bbox } = u;
  const right = bbox.left + bbox.width;
  const bottom = bbox.top + bbox.height;
  for (const [bound, isMax] of [[limit.max, true], [limit.min, false]] as const) {
    const upright = limit.metric === cloud.x;
    if (bound === undefined || (!upright && limit.metric !== cloud.y)) continue;
    const at = upright ? x(shown(limit.metric, bound)) : y(shown(limit.metric, bound));
    ctx.fillStyle = colour("--veil");
    if (upright) ctx.fillRect(isMax ? at : bbox.left, bbox.top, isMax ? right - at : at - bbox.left, bbox.height);
    else ctx.fillRect(bbox.left, isMax ? bbox.top : at, bbox.width, isMax ? at - bbox.top : bottom - at);
    ctx.beginPath();
    ctx.setLineDash([6 * px, 4 * px]);
    ctx.moveTo(upright ? at : bbox.left, upright ? bbox.top : at);
    ctx.lineTo(upright ? at : right, upright ? bottom : at);
    ctx.strokeStyle = colour("--limit");
    ctx.lineWidth = 1.5 * px;
    ctx.stroke();
    ctx.setLineDash([]);
    ctx.fillStyle = colour("--limit");
    ctx.font = `600 ${12 * px}px system-ui, sans-serif`;
    ctx.textBaseline = "top";
    const text = `${isMax ? "≤" : "≥"} ${boundText(limit.metric, bound)}`;
    const beside = upright && at > right - 80 * px; // no room to the right of the line
    ctx.textAlign = beside ? "right" : "left";
    const left = upright ? at + (beside ? -5 : 5) * px : bbox.left + 6 * px;
    ctx.fillText(text, left, upright ? bbox.top + 5 * px : at + 4 * px);
  }
}
