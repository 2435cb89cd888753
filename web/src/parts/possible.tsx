// possible.tsx - what limits can be: each metric alone, and each limit where the others hold.
import type { Ranges, Together } from "../api_types";
import { boundText, METRICS, namesIn, nameOf, rangeText } from "../format";

/** "7.3 ms where the others hold", with the word that says how surely. */
export function reachText({ metric, min, reaches, proved }: Together[number]): string {
  if (reaches === null) return "nothing is known to hold the others";
  const sure = !proved ? "" : min === undefined ? "no less than " : "no more than ";
  return `${sure}${boundText(metric, reaches)} with the others held${proved ? "" : ", as far as was found"}`;
}

export function Possible({ ranges, together }: { ranges?: Ranges | undefined; together?: Together | undefined }) {
  return (
    <dl class="facts ranges">
      {together?.map((limit, i) => (
        <div key={i}><dt>{METRICS[nameOf(limit.metric, limit.device)].label} reaches</dt><dd>{reachText(limit)}</dd></div>
      ))}
      {ranges && namesIn(ranges).map((m) => (
        <div key={m}><dt>{METRICS[m].label} possible{together ? ", alone" : ""}</dt><dd>{rangeText(m, ranges[m]!)}</dd></div>
      ))}
    </dl>
  );
}
