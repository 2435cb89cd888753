// scatter.tsx - all that a search saw, in two metrics. Pointing names a point, a click selects it, dragging looks closer.
//
// The canvas is drawn once; what follows the pointer or the selection are elements above it, so 100,000 points stay quick.
import { useMemo, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import type { Candidate, Limit, Metric, Points } from "../api_types";
import { axisLabel, integer, METRICS, metricText, shown } from "../format";
import { now } from "../route";
import { Grid } from "./grid";
import { Mark } from "./marks";
import { axis, Plot, type PlotOptions } from "./plot";
import { boundsOf, cloudOf, extent, homeRange, paint, type Cloud } from "./scatter_paint";

const HEIGHT = 420;

interface Props {
  points: Points;
  x: Metric;
  y: Metric;
  limits: Limit[];
  selected: Candidate | undefined;
  onSelect(id: number): void;
}

export function Scatter({ points, x, y, limits, selected, onSelect }: Props) {
  const plot = useRef<uPlot | undefined>(undefined);
  const grid = useRef<Grid | undefined>(undefined);
  const [hover, setHover] = useState(-1);
  const [, setDrawn] = useState(0); // what stands above the canvas is placed anew after each drawing
  const cloud = useMemo(() => cloudOf(points, x, y), [points, x, y]);
  const act = useRef({ onSelect });
  act.current = { onSelect };

  const options = useMemo((): PlotOptions => {
    const drawn = (u: uPlot): void => {
      plot.current = u;
      grid.current = undefined;
      paint(u, cloud, limits);
      u.root.dataset["points"] = String(points.x.length); // how many stand on the canvas now
      setDrawn((n) => n + 1);
    };
    return {
      mode: 2,
      legend: { show: false },
      scales: { x: zoomable(cloud.xs, boundsOf(limits, x)), y: zoomable(cloud.ys, boundsOf(limits, y)) },
      axes: [axis(axisLabel(x), { size: 36 }), axis(axisLabel(y), { size: 58 })],
      series: [{}, { facets: [{ scale: "x", auto: true }, { scale: "y", auto: true }], paths: () => null }],
      cursor: { x: false, y: false, points: { show: false }, drag: { x: true, y: true, setScale: true } },
      hooks: {
        draw: [drawn],
        ready: [(u) => listen(u, (left, top) => setHover(find(u, grid, cloud, left, top)), (left, top) => {
          const id = cloud.points.id[find(u, grid, cloud, left, top)];
          if (typeof id === "number") act.current.onSelect(id);
        })],
      },
    };
  }, [cloud, limits]);
  const data = useMemo(() => [null, [cloud.xs, cloud.ys]] as unknown as uPlot.AlignedData, [cloud]);

  const step = (event: KeyboardEvent): void => {
    const by = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    const ids = cloud.front.map((i) => points.id[i]);
    const at = ids.indexOf(Number(now("c")) || selected?.id || null); // the address is ahead of `selected` while keys repeat
    const id = ids[at < 0 ? 0 : Math.min(ids.length - 1, Math.max(0, at + by))];
    if (typeof id === "number") onSelect(id);
  };

  return (
    <div
      class="scatter" tabIndex={0} role="group" onKeyDown={step}
      aria-label={`${METRICS[y].label} against ${METRICS[x].label.toLowerCase()} of ${integer(points.x.length)} networks. Arrow keys step along the front; the table below has the same candidates.`}
    >
      <Plot options={options} data={data} height={HEIGHT} />
      {plot.current && selected && <Selection u={plot.current} x={x} y={y} candidate={selected} />}
      {plot.current && hover >= 0 && <Tip u={plot.current} cloud={cloud} point={hover} />}
    </div>
  );
}

/** The whole by default and after a double click (uPlot then comes with the extent of the values), else what was dragged out. */
function zoomable(values: Float64Array, bounds: number[]): uPlot.Scale {
  const [low, high] = extent(values);
  const home = homeRange(values, bounds);
  return { time: false, range: (_u, min, max) => ((min === low && max === high) || min === null ? home : [min, max]) };
}

function listen(u: uPlot, move: (left: number, top: number) => void, click: (left: number, top: number) => void): void {
  let pressed = [0, 0];
  u.over.addEventListener("mousemove", (e) => move(e.offsetX, e.offsetY));
  u.over.addEventListener("mouseleave", () => move(-1000, -1000));
  u.over.addEventListener("mousedown", (e) => (pressed = [e.clientX, e.clientY]));
  u.over.addEventListener("click", (e) => {
    if (Math.hypot(e.clientX - pressed[0]!, e.clientY - pressed[1]!) < 4) click(e.offsetX, e.offsetY);
  });
}

function find(u: uPlot, held: { current: Grid | undefined }, cloud: Cloud, left: number, top: number): number {
  if (!held.current) {
    const place = (values: Float64Array, scale: string): Float32Array => Float32Array.from(values, (v) => u.valToPos(v, scale));
    held.current = new Grid(place(cloud.xs, "x"), place(cloud.ys, "y"));
  }
  return held.current.nearest(left, top, (i) => (cloud.points.role[i] === "sample" ? 0 : 8));
}

const left = (u: uPlot, value: number): number => u.over.offsetLeft + u.valToPos(value, "x");
const top = (u: uPlot, value: number): number => u.over.offsetTop + u.valToPos(value, "y");
const inside = (u: uPlot, x: number, y: number): boolean => {
  const [cx, cy] = [u.valToPos(x, "x"), u.valToPos(y, "y")];
  return cx >= 0 && cy >= 0 && cx <= u.over.clientWidth && cy <= u.over.clientHeight;
};

/** A ring around the selected candidate, and how far its values may be off. */
function Selection({ u, x, y, candidate }: { u: uPlot; x: Metric; y: Metric; candidate: Candidate }) {
  const [vx, vy] = [candidate.metrics[x], candidate.metrics[y]];
  if (!vx || !vy) return null;
  const [cx, cy] = [shown(x, vx.value), shown(y, vy.value)];
  if (!inside(u, cx, cy)) return null;
  const [wide, high] = [vx.interval?.map((v) => shown(x, v ?? vx.value)), vy.interval?.map((v) => shown(y, v ?? vy.value))];
  const clampX = (v: number): number => Math.min(Math.max(left(u, v), u.over.offsetLeft), u.over.offsetLeft + u.over.clientWidth);
  const clampY = (v: number): number => Math.min(Math.max(top(u, v), u.over.offsetTop), u.over.offsetTop + u.over.clientHeight);
  return (
    <>
      {wide && <i class="whisker" style={{ left: `${clampX(wide[0]!)}px`, width: `${clampX(wide[1]!) - clampX(wide[0]!)}px`, top: `${top(u, cy)}px` }} />}
      {high && <i class="whisker upright" style={{ top: `${clampY(high[1]!)}px`, height: `${clampY(high[0]!) - clampY(high[1]!)}px`, left: `${left(u, cx)}px` }} />}
      <i class="chosen" style={{ left: `${left(u, cx)}px`, top: `${top(u, cy)}px` }} />
    </>
  );
}

function Tip({ u, cloud, point }: { u: uPlot; cloud: Cloud; point: number }) {
  const { points, x, y } = cloud;
  const [px, py] = [left(u, cloud.xs[point]!), top(u, cloud.ys[point]!)];
  const isSample = points.role[point] === "sample";
  const kind = points.kind[point] ?? "predicted";
  return (
    <div class={`tip ${px > u.width / 2 ? "to-left" : ""}`} style={{ left: `${px}px`, top: `${py}px` }}>
      <Mark kind={isSample ? "sample" : kind} /> {isSample ? "seen on the way" : kind}
      <br />
      {metricText(y, points.y[point])} at {metricText(x, points.x[point])}
      {!isSample && <small>click to see the network</small>}
    </div>
  );
}

export function ScatterLegend({ points }: { points: Points }) {
  const count = (wanted: (i: number) => boolean): string => integer(points.x.filter((_, i) => wanted(i)).length);
  const candidate = (i: number): boolean => points.role[i] !== "sample";
  const measured = (i: number): boolean => points.kind[i] === "measured";
  const front = points.kind.find((kind, i) => candidate(i) && kind !== "measured") ?? "predicted";
  return (
    <ul class="legend">
      <li><Mark kind="predicted" /> front, {front} ({count((i) => candidate(i) && !measured(i))})</li>
      <li><Mark kind="measured" /> measured ({count(measured)})</li>
      <li><Mark kind="sample" /> seen on the way ({count((i) => !candidate(i) && !measured(i))})</li>
    </ul>
  );
}
