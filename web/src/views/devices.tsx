// devices.tsx - the fleet: who is there, how well each one's latency model is known, what it is doing.
import { getAll, useResource } from "../api";
import type { Device, Page } from "../api_types";
import { age, integer, number } from "../format";
import { ErrorNote } from "../parts/marks";
import { Profile } from "../parts/profile";
import { href, useTitle } from "../route";

export function DevicesView() {
  useTitle("Devices");
  const { data, error, reload } = useResource<Page<Device>>("/devices", { load: getAll, every: () => 3000 });
  return (
    <>
      <div class="title"><h1>Devices</h1></div>
      <ErrorNote error={error} />
      {data && data.items.length > 0 && <div class="tiles">{data.items.map((d) => <DeviceTile key={d.name} device={d} onChanged={reload} />)}</div>}
      {data && <HowToAdd first={data.items.length === 0} />}
    </>
  );
}

/** Does it value architectures with somebody's own code, and measure nothing? */
export const isPool = (device: Device): boolean => device.info?.["worker"] === true;

export function Online({ device }: { device: Device }) {
  return <span class={`chip ${device.online ? "good" : "plain"}`}>{device.online ? "● online" : "○ offline"}</span>;
}

function DeviceTile({ device, onChanged }: { device: Device; onChanged(): void }) {
  const { jobs } = device;
  return (
    <article class="panel tile">
      <div class="title"><h2><a href={href(["devices", device.name])}>{device.name}</a></h2><Online device={device} /></div>
      <p class="muted">{isPool(device) ? "workers: your own code values architectures" : String(device.info?.["cpu"] ?? "imported, without an agent")}</p>
      <dl class="facts">
        <div><dt>Seen</dt><dd>{age(device.seen)}</dd></div>
        <div><dt>Jobs</dt><dd>{integer(jobs.done)} done, {integer(jobs.queued + jobs.leased)} to do{jobs.failed > 0 && `, ${jobs.failed} failed`}</dd></div>
      </dl>
      {device.models.map((m) => (
        <p class="model" key={m.space}>
          <strong>{m.space}</strong>: {m.mape ? `off by ${number(m.mape, 2)} % on average` : "error not known"}
          {m.spearman ? `, rank correlation ${number(m.spearman, 3)}` : ""}
          {m.networks || m.blocks ? `, from ${integer(m.networks)} networks and ${integer(m.blocks)} blocks` : ""}
        </p>
      ))}
      {device.models.length === 0 && !isPool(device) && <p class="muted">No latency model yet. A search profiles the device first; or do it now.</p>}
      {!isPool(device) && <Profile device={device} onChanged={onChanged} />}
    </article>
  );
}

function HowToAdd({ first }: { first: boolean }) {
  return (
    <section class={first ? "empty" : "panel"}>
      <h2>{first ? "No device yet" : "Another device"}</h2>
      <p>Build or copy <code>tailor-agent</code> to the machine (it needs nothing else), and start it there. It registers under the name given, and measures when it is asked to.</p>
      <pre tabIndex={0} role="region" aria-label="Command">tailor-agent --server {location.origin} --name my-device</pre>
    </section>
  );
}
