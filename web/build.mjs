// build.mjs OUT - bundles the page into OUT: hashed names, gzip, and the two files that put it into the program.
//
//   OUT/index.html.gz, app-HASH.js.gz, ...   the page as it is served
//   OUT/web_bytes.S, OUT/web_assets.c        the same as bytes and as the table of web.h
//
// The same sources give the same bytes: no times, no paths of this machine.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const out = process.argv[2];
if (!out) {
  console.error("usage: node build.mjs OUT");
  process.exit(2);
}

const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
};

const hash = (bytes) => createHash("sha256").update(bytes).digest("hex").slice(0, 32);

/** The page's files: [{ name, bytes, immutable }], names of immutable ones carrying a hash of their content. */
async function bundle() {
  const result = await build({
    absWorkingDir: here,
    entryPoints: { app: "src/main.tsx" },
    bundle: true,
    minify: true,
    write: false,
    outdir: "out",
    entryNames: "[name]-[hash]",
    format: "esm",
    target: "es2022",
    jsx: "automatic",
    jsxImportSource: "preact",
    legalComments: "eof",
    logLevel: "warning",
  });
  const files = result.outputFiles.map((f) => ({ name: basename(f.path), bytes: Buffer.from(f.contents), immutable: true }));
  const icon = readFileSync(join(here, "src/icon.svg"));
  files.push({ name: `icon-${hash(icon).slice(0, 8)}.svg`, bytes: icon, immutable: true });

  const named = (ext) => files.find((f) => extname(f.name) === ext).name;
  const html = readFileSync(join(here, "src/index.html"), "utf8")
    .replace("{{app.js}}", named(".js"))
    .replace("{{app.css}}", named(".css"))
    .replace("{{icon.svg}}", named(".svg"));
  files.push({ name: "index.html", bytes: Buffer.from(html), immutable: false });
  return files.sort((a, b) => (a.name < b.name ? -1 : 1));
}

function assembly(files) {
  const parts = files.map((f, i) => [
    `    .globl web_bytes_${i}`, `    .globl web_bytes_${i}_end`,
    `web_bytes_${i}:`, `    .incbin "${f.name}.gz"`, `web_bytes_${i}_end:`, "    .byte 0",
  ].join("\n"));
  return `/* The page's files as bytes (web_assets.c). */\n    .section .rodata\n${parts.join("\n")}\n` +
    `    .section .note.GNU-stack,"",%progbits\n`;
}

function table(files) {
  const declared = files.map((_, i) => `extern const unsigned char web_bytes_${i}[];`);
  const rows = files.map((f, i) =>
    `    {"/${f.name}", "${TYPES[extname(f.name)]}", "${hash(f.gz)}", web_bytes_${i}, ${f.gz.length}, ${f.immutable}},`);
  return `/* web_assets.c - the page, made by build.mjs. */\n#include "web/web.h"\n\n${declared.join("\n")}\n\n` +
    `const struct web_asset web_assets[] = {\n${rows.join("\n")}\n};\nconst size_t web_assets_count = ${files.length};\n`;
}

const files = await bundle();
rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
for (const file of files) {
  file.gz = gzipSync(file.bytes, { level: 9 });
  writeFileSync(join(out, `${file.name}.gz`), file.gz);
}
writeFileSync(join(out, "web_bytes.S"), assembly(files));
writeFileSync(join(out, "web_assets.c"), table(files));
const total = files.reduce((sum, f) => sum + f.gz.length, 0);
console.log(`page: ${files.length} files, ${(total / 1000).toFixed(1)} kB compressed`);
