// searches.tsx - all searches, the newest first.
import { getAll, useResource } from "../api";
import type { Device, Metric, Page, SearchItem } from "../api_types";
import { age, devicesOf, integer, limitText, METRICS, metricText, nameOf, objectiveText } from "../format";
import { ErrorNote, isOver, Status } from "../parts/marks";
import { go, href, useTitle, type Route } from "../route";

const STATES = ["", "running", "verifying", "waiting_for_device", "evaluating", "finished", "failed", "cancelled"];

export function SearchesView({ route }: { route: Route }) {
  useTitle("Searches");
  const state = route.query.get("state") ?? "";
  const { data, error } = useResource<Page<SearchItem>>(`/search?page_size=200${state && `&state=${encodeURIComponent(state)}`}`, {
    every: (page) => (page?.items.some((s) => !isOver(s.state)) ? 2000 : 10000),
  });
  return (
    <>
      <div class="title">
        <h1>Searches</h1>
        <label class="inline">
          State{" "}
          <select value={state} onChange={(e) => go(href([], { state: e.currentTarget.value }))}>
            {STATES.map((s) => <option value={s}>{s === "" ? "all" : s.replaceAll("_", " ")}</option>)}
          </select>
        </label>
        <a class="button" href={href(["new"])}>New search</a>
      </div>
      <ErrorNote error={error} />
      {data && (data.items.length > 0 ? <Table items={data.items} /> : state ? <p class="empty">No search is {state.replaceAll("_", " ")}.</p> : <Empty />)}
    </>
  );
}

function Table({ items }: { items: SearchItem[] }) {
  return (
    <div class="panel scroll" tabIndex={0} role="region" aria-label="Searches">
      <table class="list">
        <thead>
          <tr>
            <th scope="col">Search</th><th scope="col">State</th><th scope="col">Device</th><th scope="col">Limits</th>
            <th scope="col" class="n">Accuracy</th><th scope="col" class="n">Latency</th><th scope="col" class="n">Evaluations</th><th scope="col">Made</th>
          </tr>
        </thead>
        <tbody>{items.map((s) => <Row key={s.id} search={s} />)}</tbody>
      </table>
    </div>
  );
}

function Row({ search }: { search: SearchItem }) {
  const to = href(["search", search.id]);
  return (
    <tr onClick={() => go(to)}>
      <th scope="row"><a href={to}>{search.label || objectiveText(search)}</a><small>{search.space}</small></th>
      <td><Status search={search} /></td>
      <td class="limits" data-label="on">{devicesOf(search).length ? devicesOf(search).map((d) => <span>{d}</span>) : <span class="muted">no device</span>}</td>
      <td class="limits" data-label="limits">{search.constraints?.length ? search.constraints.map((l) => <span>{limitText(l)}</span>) : <span class="muted">none</span>}</td>
      <td class="n" data-label="accuracy">{metricText("accuracy", search.best?.accuracy)}</td>
      <td class="n limits" data-label="latency">{latencies(search).map((m) => <span title={METRICS[m].label}>{metricText(m, search.best?.[m])}</span>)}</td>
      <td class="n" data-label="evaluations">{integer(search.evaluations)}</td>
      <td data-label="made" title={new Date(search.created).toLocaleString()}>{age(search.created)}</td>
    </tr>
  );
}

/** One a device, in the order of the devices. */
const latencies = (search: SearchItem): Metric[] =>
  search.devices ? search.devices.map((d) => nameOf("latency_ms", d)) : ["latency_ms"];

function Empty() {
  const { data } = useResource<Page<Device>>("/devices", { load: getAll });
  return (
    <section class="empty">
      <h2>One trained supernet in, a network made to measure out</h2>
      <p>A search takes a space of networks and limits ("under 20 ms on that board, below 6 MB") and finds the best network inside them.</p>
      <ol>
        <li>{data?.items.length ? <>A device is known: {data.items.map((d) => d.name).join(", ")}.</> : <>
          Start an agent on the machine that the network is for:
          <pre tabIndex={0} role="region" aria-label="Command">tailor-agent --server {location.origin} --name my-device</pre></>}</li>
        <li><a class="button" href={href(["new"])}>Ask for a network</a></li>
      </ol>
    </section>
  );
}
