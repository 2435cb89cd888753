// shots.mjs DIST FOLDER - pictures of every view, light, dark and narrow, for people to look at.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { launch, open } from "./browser.mjs";
import { IDS, startFixture } from "./fixture.mjs";

const [dist, folder] = process.argv.slice(2);
mkdirSync(folder, { recursive: true });
const service = await startFixture(dist);
const browser = await launch();
const VIEWS = {
  searches: "#/", new: "#/new", search: `#/search/${IDS.verified}`, running: `#/search/${IDS.running}`,
  infeasible: `#/search/${IDS.infeasible}`, devices: "#/devices", device: "#/devices/this-machine?m=5d1f7a30-0000-4000-8000-000000000004", spaces: "#/spaces",
};
for (const [look, options] of Object.entries({
  light: { colorScheme: "light" }, dark: { colorScheme: "dark" }, narrow: { colorScheme: "light", viewport: { width: 390, height: 800 } },
})) {
  for (const [name, hash] of Object.entries(VIEWS)) {
    const page = await open(browser, `${service.url}/${hash}`, options);
    await page.waitForSelector("main > *");
    await page.waitForLoadState("networkidle").catch(() => {});
    await page.screenshot({ path: join(folder, `${look}-${name}.png`), fullPage: true });
    page.complaints.forEach((c) => console.log(look, name, c));
    await page.context().close();
  }
}
await browser.close();
service.close();
