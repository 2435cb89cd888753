// device.tsx - one device: what it is, how well it is known, and everything that was measured on it, down to single runs.
import { useState } from "preact/hooks";
import { ApiError, get, useResource } from "../api";
import type { Device, Measurement, MeasurementDetail, Page } from "../api_types";
import { age, integer, metricText, number, percent } from "../format";
import { ErrorNote } from "../parts/marks";
import { Profile } from "../parts/profile";
import { Repeats } from "../parts/repeats";
import { change, changed, href, useTitle, type Route } from "../route";
import { Online, isPool } from "./devices";

export function DeviceView({ name, route }: { name: string; route: Route }) {
  useTitle(name);
  const path = `/devices/${encodeURIComponent(name)}`;
  const { data: device, error, reload } = useResource<Device>(path, { every: () => 3000 });
  const m = route.query.get("m");
  const raw = useResource<MeasurementDetail>(m === null ? null : `/measurements/${encodeURIComponent(m)}`);
  return (
    <>
      <div class="title">
        <h1>{name}</h1>
        {device && <Online device={device} />}
        {device && !isPool(device) && <span class="actions"><a class="button plain" href={href(["new"], { device: name })}>Search for this device</a></span>}
      </div>
      <ErrorNote error={error} />
      {device && <About device={device} onChanged={reload} />}
      <ErrorNote error={raw.error} />
      {raw.data && <Repeats measurement={raw.data} />}
      <Measurements device={name} route={route} version={String(device?.jobs.done ?? 0)} />
    </>
  );
}

function About({ device, onChanged }: { device: Device; onChanged(): void }) {
  const info = Object.entries(device.info ?? {});
  return (
    <section class="panel">
      <dl class="facts">
        <div><dt>seen</dt><dd>{age(device.seen)}</dd></div>
        <div><dt>known since</dt><dd>{new Date(device.created).toLocaleDateString()}</dd></div>
        <div><dt>anchor's reference time</dt><dd>{metricText("latency_ms", device.anchor_reference_ms)}</dd></div>
        <div><dt>jobs</dt><dd>{device.jobs.queued} queued, {device.jobs.leased} under way, {device.jobs.done} done, {device.jobs.failed} failed</dd></div>
        {info.map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{String(value)}</dd></div>)}
      </dl>
      {device.models.length > 0 && (
        <div class="scroll" tabIndex={0} role="region" aria-label="Latency models">
          <table>
            <thead>
              <tr><th scope="col">Model of</th><th scope="col" class="n">Mean error</th><th scope="col" class="n">Rank correlation</th><th scope="col" class="n">Interval</th>
                <th scope="col" class="n">Networks</th><th scope="col" class="n">Blocks</th><th scope="col">Made</th></tr>
            </thead>
            <tbody>
              {device.models.map((m) => (
                <tr key={m.hash}>
                  <th scope="row">{m.space}</th><td class="n">{m.mape ? `${number(m.mape, 2)} %` : "–"}</td><td class="n">{number(m.spearman, 3)}</td>
                  <td class="n">{m.half_width ? `± ${percent(m.half_width)}` : "–"}</td>
                  <td class="n">{integer(m.networks)}</td><td class="n">{integer(m.blocks)}</td><td>{age(m.created)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      <Profile device={device} onChanged={onChanged} />
    </section>
  );
}

const PAGE = 50;

function Measurements({ device, route, version }: { device: string; route: Route; version: string }) {
  const kind = route.query.get("kind") ?? "";
  const path = `/measurements?page_size=${PAGE}&device=${encodeURIComponent(device)}${kind && `&kind=${encodeURIComponent(kind)}`}`;
  return (
    <section class="panel">
      <div class="title">
        <h2>Measurements</h2>
        <label class="inline">
          Of{" "}
          <select value={kind} onChange={(e) => change({ kind: e.currentTarget.value })}>
            <option value="">networks and blocks</option><option value="network">networks</option><option value="block">blocks</option>
          </select>
        </label>
      </div>
      <MeasurementPages key={path} path={path} route={route} version={version} />
    </section>
  );
}

/** The first page is kept fresh, later ones are added as they are asked for. */
function MeasurementPages({ path, route, version }: { path: string; route: Route; version: string }) {
  const first = useResource<Page<Measurement>>(path, { version });
  const [more, setMore] = useState<Page<Measurement>>();
  const [error, setError] = useState<ApiError>();
  const next = (more ?? first.data)?.next_page_token;
  const rows = [...new Map([...(first.data?.items ?? []), ...(more?.items ?? [])].map((m) => [m.id, m])).values()];
  const load = async (): Promise<void> => {
    try {
      const page = await get<Page<Measurement>>(`${path}&page_token=${next}`);
      setMore({ items: [...(more?.items ?? []), ...page.items], next_page_token: page.next_page_token });
    } catch (failure) {
      if (!(failure instanceof ApiError)) throw failure;
      setError(failure);
    }
  };
  return (
    <>
      <ErrorNote error={first.error ?? error} />
      {first.data && rows.length === 0 && <p class="muted">Nothing has been measured here yet.</p>}
      {rows.length > 0 && <MeasurementTable rows={rows} route={route} />}
      {next && <button onClick={() => void load()}>Show more</button>}
    </>
  );
}

function MeasurementTable({ rows, route }: { rows: Measurement[]; route: Route }) {
  const chosen = route.query.get("m");
  return (
    <div class="scroll tall" tabIndex={0} role="region" aria-label="Measurements">
      <table class="list">
        <thead>
          <tr><th scope="col">Subject</th><th scope="col">Kind</th><th scope="col">Verdict</th><th scope="col" class="n">Ratio</th>
            <th scope="col" class="n">Corrected</th><th scope="col" class="n">Median</th><th scope="col">Made</th></tr>
        </thead>
        <tbody>
          {rows.map((m) => (
            <tr key={m.id} class={m.id === chosen ? "chosen" : ""} onClick={() => change({ m: m.id })}>
              <th scope="row"><a class="subject" title={m.subject} href={changed(route, { m: m.id })} aria-current={m.id === chosen ? "true" : undefined}>{m.subject}</a></th>
              <td>{m.kind}</td>
              <td><span class={m.verdict === "stable" ? "good" : "warn"}>{m.verdict === "stable" ? "✓" : "!"} {m.verdict}</span>{m.reason && `: ${m.reason}`}{m.late && " (late)"}</td>
              <td class="n" data-label="ratio">{m.ratio === null ? "–" : m.ratio.toFixed(3)}</td>
              <td class="n" data-label="corrected">{metricText("latency_ms", m.corrected_ms)}</td>
              <td class="n" data-label="median">{metricText("latency_ms", m.median_ms)}</td>
              <td data-label="made" title={new Date(m.created).toLocaleString()}>{age(m.created)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
