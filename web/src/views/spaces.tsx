// spaces.tsx - what can be searched: how many networks, and what may vary.
import { getAll, useResource } from "../api";
import type { Page, Space } from "../api_types";
import { big } from "../format";
import { ErrorNote } from "../parts/marks";
import { href, useTitle } from "../route";

export function SpacesView() {
  useTitle("Spaces");
  const { data, error } = useResource<Page<Space>>("/spaces", { load: getAll });
  return (
    <>
      <div class="title"><h1>Spaces</h1></div>
      <ErrorNote error={error} />
      {data?.items.map((space) => <SpacePanel key={space.name} space={space} />)}
      {data?.items.length === 0 && <p class="empty">This server knows no spaces.</p>}
    </>
  );
}

function SpacePanel({ space }: { space: Space }) {
  return (
    <article class="panel">
      <div class="title">
        <h2>{space.name}</h2>
        <span class="actions"><a class="button plain" href={href(["new"], { space: space.name })}>Search here</a></span>
      </div>
      <p>{space.title}</p>
      <dl class="facts">
        <div><dt>networks</dt><dd title={space.count}>{big(space.count)}</dd></div>
        {space.buildable === false ? <TableFacts space={space} /> : <ModelFacts space={space} />}
      </dl>
      {space.source && <p class="muted small">{space.source}</p>}
      <details>
        <summary>{space.variables.length} variables</summary>
        <div class="scroll tall" tabIndex={0} role="region" aria-label={`Variables of ${space.name}`}>
          <table>
            <thead><tr><th scope="col">Variable</th><th scope="col">Options</th><th scope="col">Only when</th></tr></thead>
            <tbody>
              {space.variables.map((v) => (
                <tr key={v.name}><th scope="row">{v.name}</th><td>{v.options.join(", ")}</td><td>{v.parent && `${v.parent} is ${v.active_under?.join(" or ")}`}</td></tr>
              ))}
            </tbody>
          </table>
        </div>
      </details>
    </article>
  );
}

function ModelFacts({ space }: { space: Space }) {
  return (
    <>
      <div><dt>resolutions</dt><dd>{space.resolutions.length > 6 ? `${space.resolutions[0]} to ${space.resolutions.at(-1)} (${space.resolutions.length})` : space.resolutions.join(", ")}</dd></div>
      <div><dt>accuracy model</dt><dd>{space.accuracy_model ? "yes" : "none: search without accuracy"}</dd></div>
      <div><dt>devices with a latency model</dt><dd>{space.devices.length ? space.devices.map((d, i) => <>{i > 0 && ", "}<a href={href(["devices", d])}>{d}</a></>) : "none yet"}</dd></div>
    </>
  );
}

/** A space that was brought: what its values are. */
function TableFacts({ space }: { space: Space }) {
  return (
    <>
      <div><dt>table</dt><dd>{space.table ? `${space.table.rows} rows` : "none yet: it cannot be searched"}</dd></div>
      {space.table?.source && <div><dt>values from</dt><dd>{space.table.source}</dd></div>}
      <div><dt>devices in the table</dt><dd>{space.devices.length ? space.devices.join(", ") : "none"}</dd></div>
    </>
  );
}
