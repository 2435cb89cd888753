// main.tsx - the page's frame: which view stands at which address.
import "uplot/dist/uPlot.min.css";
import "./style.css";
import { render, type ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import { href, useRoute, type Route } from "./route";
import { chooseTheme, startTheme, useTheme } from "./theme";
import { DeviceView } from "./views/device";
import { DevicesView } from "./views/devices";
import { NewSearchView } from "./views/new_search";
import { SearchView } from "./views/search";
import { SearchesView } from "./views/searches";
import { SpacesView } from "./views/spaces";

function view(route: Route): ComponentChildren {
  const [room = "", name] = route.path;
  switch (room) {
    case "":
      return <SearchesView route={route} />;
    case "new":
      return <NewSearchView route={route} />;
    case "search":
      if (name) return <SearchView key={name} id={name} route={route} />;
      break;
    case "devices":
      return name ? <DeviceView key={name} name={name} route={route} /> : <DevicesView />;
    case "spaces":
      return <SpacesView />;
  }
  return (
    <section class="empty">
      <h1>Nothing is here</h1>
      <p>No view has the address {location.hash}. <a href={href([])}>All searches</a></p>
    </section>
  );
}

const ROOMS = [["Searches", "", ["", "search", "new"]], ["Devices", "devices", ["devices"]], ["Spaces", "spaces", ["spaces"]]] as const;

function Header({ room }: { room: string }) {
  const theme = useTheme();
  const other = theme === "dark" ? "light" : "dark";
  return (
    <header class="top">
      <a class="brand" href={href([])}>
        <svg viewBox="0 0 32 32" width="26" height="26" aria-hidden="true">
          <path d="M3 21h26v6H3z" /><path class="mark" d="M8 21v2.6M13 21v4M18 21v2.6M23 21v4" />
          <path class="thread" d="M5 15c6 0 7-8 14-8" /><circle cx="22.5" cy="7" r="3.4" />
        </svg>
        Tailor
      </a>
      <nav aria-label="Views">
        {ROOMS.map(([title, path, rooms]) => (
          <a href={href([path].filter(Boolean))} aria-current={(rooms as readonly string[]).includes(room) ? "page" : undefined}>
            {title}
          </a>
        ))}
      </nav>
      <button class="quiet" onClick={() => chooseTheme(other)} aria-label={`Use the ${other} theme`} title={`Use the ${other} theme`}>
        <svg viewBox="0 0 20 20" width="18" height="18" aria-hidden="true"><circle cx="10" cy="10" r="7" class="ring" /><path d="M10 3a7 7 0 0 1 0 14z" /></svg>
      </button>
    </header>
  );
}

function App() {
  const route = useRoute();
  const address = route.path.join("/");
  useEffect(() => scrollTo(0, 0), [address]);
  return (
    <>
      <Header room={route.path[0] ?? ""} />
      <main>{view(route)}</main>
    </>
  );
}

startTheme();
const root = document.getElementById("page");
if (root) render(<App />, root);
