// candidates.tsx - the front and what was measured, as a table: sorted by any metric, a row selects.
import { useEffect, useRef } from "preact/hooks";
import type { Candidate, Metric } from "../api_types";
import { intervalText, METRICS, metricText, namesIn } from "../format";
import { changed, type Route } from "../route";
import { Mark } from "./marks";

interface Props {
  candidates: Candidate[];
  selected: number | undefined;
  answer: number | undefined;
  route: Route; // ?sort=metric, ?sort=-metric: descending
  onSelect(id: number): void;
}

export function Candidates({ candidates, selected, answer, route, onSelect }: Props) {
  const metrics = namesIn(...candidates.map((c) => c.metrics));
  const sort = route.query.get("sort") ?? (metrics[0] ? `-${metrics[0]}` : "");
  const by = sort.replace("-", "") as Metric;
  const down = sort.startsWith("-") ? -1 : 1;
  const value = (c: Candidate): number => c.metrics[by]?.value ?? Infinity;
  const rows = [...candidates].sort((a, b) => down * (value(a) - value(b)) || a.id - b.id);
  const room = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const row = room.current?.querySelector<HTMLElement>("tr.chosen");
    if (row && room.current) reveal(room.current, row);
  }, [selected, sort]);
  return (
    <div class="scroll tall" tabIndex={0} role="region" aria-label="Candidates" ref={room}>
      <table class="candidates">
        <thead>
          <tr>
            <th scope="col">Candidate</th>
            {metrics.map((m) => (
              <th scope="col" class="n" key={m} aria-sort={by === m ? (down < 0 ? "descending" : "ascending") : undefined}>
                <a href={changed(route, { sort: sort === `-${m}` || (by !== m && !METRICS[m].more) ? m : `-${m}` })}>
                  {METRICS[m].label} ({METRICS[m].unit}) <span aria-hidden="true">{by === m ? (down < 0 ? "↓" : "↑") : ""}</span>
                </a>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((c) => (
            <tr key={c.id} class={c.id === selected ? "chosen" : ""} onClick={() => onSelect(c.id)}>
              <th scope="row">
                <a href={changed(route, { c: c.id })} aria-current={c.id === selected ? "true" : undefined} data-candidate={c.id}>
                  #{c.id}
                </a>
                {c.id === answer && <span class="chip small">answer</span>}
              </th>
              {metrics.map((m) => <Cell key={m} metric={m} candidate={c} />)}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** Scrolls the table, and not the page, to a row out of sight. */
function reveal(room: HTMLElement, row: HTMLElement): void {
  const above = row.offsetTop - row.offsetHeight < room.scrollTop; // the head of the table lies over its first row
  const below = row.offsetTop + row.offsetHeight > room.scrollTop + room.clientHeight;
  if (above || below) room.scrollTop = row.offsetTop - room.clientHeight / 2;
}

function Cell({ metric, candidate }: { metric: Metric; candidate: Candidate }) {
  const value = candidate.metrics[metric];
  if (!value) return <td class="n">–</td>;
  const off = value.interval ? `${value.kind}, ${intervalText(metric, value.interval)}` : value.kind;
  const predicted = value.predicted === undefined ? "" : `; predicted ${metricText(metric, value.predicted)}`;
  return (
    <td class="n" title={off + predicted}>
      {value.kind === "measured" && <><Mark kind="measured" /><span class="unseen">measured </span></>}
      {metricText(metric, value.value, false)}
    </td>
  );
}

/** For a spreadsheet: base units, as the API has them. */
export function csvOf(candidates: Candidate[]): string {
  const metrics = namesIn(...candidates.map((c) => c.metrics));
  const head = ["candidate", "architecture", "role", ...metrics.flatMap((m) => [m, `${m}_kind`])];
  const lines = candidates.map((c) =>
    [c.id, c.architecture.id, c.role, ...metrics.flatMap((m) => [c.metrics[m]?.value ?? "", c.metrics[m]?.kind ?? ""])].join(","));
  return [head.join(","), ...lines].join("\n") + "\n";
}
