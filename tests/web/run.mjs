// run.mjs - the tests of the page, or exit code 77 and a sentence where they cannot run.
//
// TAILOR_WEB_DIST: what web/build.mjs made. TAILOR_BIN: the program; without it only the page alone is tested.
import { spawnSync } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));

function skip(why) {
  console.log(`skipped: ${why}`);
  process.exit(77);
}

/** Packages as locked, again only when the lock is newer. */
function install() {
  const done = join(here, "node_modules/.package-lock.json");
  const lock = join(here, "package-lock.json");
  if (existsSync(done) && statSync(done).mtimeMs >= statSync(lock).mtimeMs) return true;
  const ci = spawnSync("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], { cwd: here, stdio: "inherit" });
  return ci.status === 0;
}

if (!process.env.TAILOR_WEB_DIST || !existsSync(join(process.env.TAILOR_WEB_DIST, "index.html.gz"))) skip("the page was not built (TAILOR_WEB=OFF)");
if (!install()) skip("playwright-core and axe could not be installed from npm");
const { CHROMIUM } = await import("./browser.mjs");
if (!CHROMIUM) skip("no Chromium here; set CHROMIUM to one");

const files = ["page.test.mjs", ...(existsSync(process.env.TAILOR_BIN ?? "") ? ["service.test.mjs", "access.test.mjs"] : [])];
if (files.length < 2) console.log("without TAILOR_BIN: the page alone, not with the service");
const run = spawnSync(process.execPath, ["--test", ...files.map((f) => join(here, f))], { stdio: "inherit" });
process.exit(run.status ?? 1);
