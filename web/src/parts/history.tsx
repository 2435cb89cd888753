// history.tsx - the best value after so many evaluations; evaluations on a logarithmic axis.
import { useMemo } from "preact/hooks";
import uPlot from "uplot";
import type { History, Metric } from "../api_types";
import { axisLabel, shown } from "../format";
import { colour } from "../theme";
import { axis, Plot, type PlotOptions } from "./plot";

export function HistoryPlot({ history, metric }: { history: History; metric: Metric }) {
  const data = useMemo((): uPlot.AlignedData => {
    const known = history.evaluations.map((_, i) => i).filter((i) => history.evaluations[i]! > 0 && history.best[i] !== null);
    return [known.map((i) => history.evaluations[i]!), known.map((i) => shown(metric, history.best[i]!))];
  }, [history, metric]);

  const options = useMemo((): PlotOptions => ({
    legend: { show: false },
    scales: { x: { time: false, distr: 3 }, y: { range: (_u, min, max) => uPlot.rangeNum(min, max, 0.1, false) } },
    axes: [axis("Evaluations", { size: 36, values: (_u, ticks) => ticks.map((t) => (Math.log10(t) % 1 === 0 ? t.toLocaleString("en") : "")) }), axis(axisLabel(metric), { size: 58 })],
    series: [{}, { stroke: () => colour("--predicted"), width: 2, paths: uPlot.paths.stepped!({ align: 1 }), points: { show: false } }],
    cursor: { show: false },
  }), [metric]);

  if (!data[0]?.length) return <p class="muted">No network inside the limits has been seen yet.</p>;
  const last = data[1]?.at(-1) ?? null;
  return (
    <div role="img" aria-label={`The best ${axisLabel(metric).toLowerCase()} after each evaluation, ${last} at the end`}>
      <Plot options={options} data={data} height={240} />
    </div>
  );
}
